"""The risk of a promotion and the kind of change that it is. Pure functions of facts."""
