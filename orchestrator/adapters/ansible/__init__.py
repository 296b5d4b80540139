"""Software on hosts through ansible-runner, in a process of its own."""
