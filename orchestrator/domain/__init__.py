"""What we speak of: pure values and rules. No clock, no I/O; standard library and pydantic only."""
