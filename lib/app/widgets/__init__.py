"""What pages are made of, one module per topic. Pages import these modules."""
