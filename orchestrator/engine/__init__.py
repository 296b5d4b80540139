"""How a flow survives: durable execution, leases, recovery, and child processes that are found again."""
