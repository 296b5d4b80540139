"""Orchestrator: infrastructure-as-code release orchestration.

Importing this package imports nothing else: the command line must answer `--help` and completion
before any engine is loaded.
"""

__version__ = "0.1.0"
API_VERSION = "orchestrator/v1"
