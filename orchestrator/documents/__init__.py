"""The documents that the command line prints and that the API returns, as models with stable schemas."""
