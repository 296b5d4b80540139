"""What a release requires of hosts, what was measured on them, and the comparison of both."""
