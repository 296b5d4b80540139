"""The calendar: when an environment is open for a promotion. Pure functions of rules and the clock."""
