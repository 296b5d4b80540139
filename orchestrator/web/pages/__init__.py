"""The pages: HTML of use cases, complete without JavaScript."""
