"""The API: JSON documents of use cases."""
