"""The catalogue of error codes, one file a family."""
