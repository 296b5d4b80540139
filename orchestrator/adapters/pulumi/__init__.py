"""Infrastructure through the Pulumi engine, on copies of the user's own projects."""
