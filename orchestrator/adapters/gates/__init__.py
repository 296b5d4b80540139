"""Gates over HTTP, of Prometheus and by commands, and the probe that requests a service."""
