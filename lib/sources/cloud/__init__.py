"""Runs on a W&B server."""
