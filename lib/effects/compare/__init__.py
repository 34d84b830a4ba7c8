"""One metric of one arm, compared by the design that its data allow."""
