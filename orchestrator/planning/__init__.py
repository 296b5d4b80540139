"""Plans: what a promotion or a rollback would do, found by inspections that change nothing."""
