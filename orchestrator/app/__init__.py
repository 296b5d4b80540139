"""Use cases: each has an explicit actor, asks `authorize` for one right, and records its changes in `audit`."""
