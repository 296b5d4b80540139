"""Planned releases: scope, phases and dates. They hold bookings, move change requests, and follow the journal."""
