"""Promotions for `make load`: the flow of the product in a process of its own, with hosts in memory and a real store.

Usage: python -m tests.campaigns.load_promotions FOLDER PAUSE_S. It promotes until it is stopped, and prints each run.
"""

import os
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path

from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.domain.journal import QueuedRequest, Run
from orchestrator.flow import WORKFLOWS
from orchestrator.flow.run_context import RunContext
from orchestrator.wiring import App, open_app
from tests.flow.test_promotion import Stage, release

ENVIRONMENT = "staging"


def promote(app: App, stage: Stage, number: int, pause: float) -> Run:
    """Promote the release with this *number* into staging, with a *pause* in seconds before and after each step."""

    def wait(_name: str, _when: str) -> None:
        time.sleep(pause)

    ref = stage.packages.put(release(f"9.{number}.0")).ref
    root = secrets.token_hex(4)  # the folder may have the promotions of an earlier measurement
    at = app.services.clock.now()
    run = Run(
        id=f"{root}-{ENVIRONMENT}",
        root=root,
        kind="promotion",
        environment=ENVIRONMENT,
        release=ref,
        by="ann",
        requested_at=at,
    )
    asked = {
        "root": root,
        "kind": run.kind,
        "release": ref.to_json(),
        "targets": [run.environment],
        "by": "ann",
        "plan": None,
    }
    app.store.submit(QueuedRequest(root=root, request={**asked, "wait": 0.0, "retry": None, "parameters": {}}), run)
    services = replace(stage.services(), store=app.store, clock=app.services.clock)
    WORKFLOWS[run.kind](RunContext(services, MemoryDurable({}, wait), run))
    app.store.release_claim(root, "", done=True)
    return app.store.run(run.id)


def continue_in(app: App, stage: Stage) -> None:
    """Give *stage* what an earlier measurement in the same folder left: without it each promotion would fail at once.

    These are the packages, which a plan compares, and the lease if the measurement was killed.
    """
    left = app.store.lease(ENVIRONMENT)
    if left is not None:
        app.store.release(ENVIRONMENT, left.holder)
    for verified in app.store.verified(ENVIRONMENT):
        stage.packages.put(release(verified.release.version))


def main() -> None:
    """Promote one release after another."""
    folder, pause = Path(sys.argv[1]), float(sys.argv[2])
    app = open_app(folder, environ=dict(os.environ))
    (folder / "memory").mkdir(exist_ok=True)
    stage, number = Stage(folder / "memory"), 0
    continue_in(app, stage)
    while True:
        number += 1
        run = promote(app, stage, number, pause)
        print(run.id, run.state.value, flush=True)


if __name__ == "__main__":
    main()
