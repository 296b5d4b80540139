"""Gates asked over HTTP, of Prometheus, and by commands; and the probe that looks whether a service answers."""
