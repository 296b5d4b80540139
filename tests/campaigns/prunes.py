"""Kill `orchestrator prune` at each of its boundaries, and prune again: `python -m tests.campaigns.prunes`.

The process is killed before and after each thing loses its name, and after it is removed. Everything that it would
remove must then be whole or gone, and the next prune must leave what a prune leaves that was not killed.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database.engine import engine_url
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.engine.durable import Engine, EngineConfig
from orchestrator.engine.jobs import LocalJobs
from orchestrator.engine.records import complete_requests
from tests.cli.test_prune import laid, run_prune

LONG_AGO, LATER = 1_000_000_000, "2100-01-01T00:00:00.000Z"
FOLDERS = ("jobs", "plans", "packages", "logs", "background")


def project(folder: Path) -> Path:
    """A project with something old of each kind that a prune removes."""
    folder.mkdir()
    state = laid(folder).parent
    store = DatabaseStore(f"sqlite:///{state}/state.db", SystemClock())
    place = EngineConfig(engine_url(f"sqlite:///{state}/state.db"), state / "executors", 3.0)
    engine = Engine(place, store, LocalJobs(state / "jobs"), lambda _durable, _tenure, _data: {})
    engine.begin("000001", {})()
    engine.close()
    store.release_claim("000001", "", done=True)
    store.close()
    package, plan = state / "packages" / ("a" * 64), state / "plans" / ("e" * 64)
    for path, text in (
        (package.with_suffix(".release"), "sealed"),
        (package / "content" / "site.yml", "content"),
        (plan / "plan.json", '{"kind": "Plan", "environment": "staging"}'),
        (state / "logs" / "old.log", "printed"),
        (state / "background" / "000001.log", "printed"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in (package, plan / "plan.json", state / "logs" / "old.log"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


def points(found: Mapping[str, Any]) -> Iterator[str]:
    """The boundaries of a prune that removes what is *found*."""
    for kind in ("jobs", "plans", "packages", "outputs"):
        for name in found[kind]:
            yield from (f"prune {Path(name).name}:{when}" for when in ("before", "renamed", "done"))
    for root in found["requests"]:
        yield from (f"prune request {root}:{when}" for when in ("before", "done"))


def left(folder: Path) -> dict[str, object]:
    """The files that are there, with their texts, and the requests that have records of durable execution."""
    state = folder / ".orchestrator"
    files = [path for name in FOLDERS for path in (state / name).rglob("*") if path.is_file()]
    kept: dict[str, object] = {str(path.relative_to(state)): path.read_text() for path in files if path.name != ".lock"}
    return {**kept, "requests": sorted(complete_requests(engine_url(f"sqlite:///{state}/state.db"), LATER))}


def attempt(template: Path, folder: Path, point: str, after: Mapping[str, object]) -> list[str]:
    """What is wrong once a prune in a copy of *template* was killed at *point*; *after* is what one leaves."""
    shutil.copytree(template, folder, symlinks=True)
    before, wrong = left(template), list[str]()
    code, _ = run_prune(folder, crash=point)
    if code != -9:
        wrong.append(f"{point}: the prune ended with {code}, and was not killed")
    now = left(folder)
    wrong += [f"{point}: {name} is half removed" for name, text in now.items() if before.get(name, text) != text
              and name != "requests"]  # fmt: skip
    wrong += [f"{point}: {name} is gone" for name in after if name not in now]
    code, said = run_prune(folder)
    if code != 0 or left(folder) != after:
        wrong.append(f"{point}: the next prune ended with {code}: {said}; left {sorted(left(folder))}")
    return wrong


def main() -> int:
    """Sweep; the exit status is 1 when a boundary was not recovered from."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        template, undisturbed = project(Path(name) / "template"), Path(name) / "undisturbed"
        shutil.copytree(template, undisturbed, symlinks=True)
        code, found = run_prune(undisturbed)
        assert code == 0, found
        assert all(found[kind] for kind in ("jobs", "plans", "packages", "outputs", "requests")), found
        at, after = list(points(found)), left(undisturbed)
        tried = [pool.submit(attempt, template, Path(name) / str(n), each, after) for n, each in enumerate(at)]
        results = [future.result() for future in tried]
    bad = [wrong for wrong in results if wrong]
    for line in (line for wrong in bad for line in wrong):
        print(f"  {line}")
    print(f"prune: {len(at)} boundaries, {len(at) - len(bad)} recovered")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
