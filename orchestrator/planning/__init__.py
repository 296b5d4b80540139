"""Plans: what a promotion or a rollback would do, made by asking everything that can be asked without a change."""
