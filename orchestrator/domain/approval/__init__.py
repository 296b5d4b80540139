"""Approvals: what a run request needs, the votes that count, and the states of a request. Pure functions."""
