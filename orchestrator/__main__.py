"""`python -m orchestrator` is the command `orchestrator`."""

from orchestrator.cli import run

if __name__ == "__main__":
    run()
