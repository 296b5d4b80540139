"""Release trains: packages that leave together at a fixed time, and arrive together or not at all."""
