"""What several machines share: packages, plans, definitions and what jobs have printed."""
