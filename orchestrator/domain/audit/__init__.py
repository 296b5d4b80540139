"""The audit stream: a chain of entries in which every change can be found. Pure functions of entries and a key."""
