"""The server: a front end with an API and pages, both thin on `orchestrator.app`."""
