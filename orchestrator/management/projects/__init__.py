"""The projects of a server: what is under way, waits and is due in each."""
