"""Scenarios: reading, checking and running them."""
