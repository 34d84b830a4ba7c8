"""Example programs that log runs this app can read."""
