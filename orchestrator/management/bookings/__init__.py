"""Bookings: who has an environment, when and for what. Admission lets the holder pass and others wait."""
