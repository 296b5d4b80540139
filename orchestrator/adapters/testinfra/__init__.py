"""Verification by pytest and testinfra, in a process of its own."""
