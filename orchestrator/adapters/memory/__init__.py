"""The fakes, which ship: for tests, dry runs and the tutorial."""
