"""Inputs that are damaged, hostile or endless, and what the product makes of each: `python -m benchmarks.hardening`."""
