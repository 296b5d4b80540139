"""The `Prober` port: a job that requests a service during a run, and is found again like any other job."""

import contextlib
import fcntl
import json
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from orchestrator.adapters.gates import probe_child
from orchestrator.domain.context import Context
from orchestrator.domain.downtime import SERVICE, AvailabilityReport, ProbeSample, measured
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Probe
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.quantities import seconds
from orchestrator.domain.release import Package
from orchestrator.domain.stored_words import read_text
from orchestrator.domain.templating import known_variables, url_filled
from orchestrator.ports import Job, Jobs

MOST = 50  # starts in one run, at most: more would mean that something kills it
ENDING = 5.0  # seconds in which it has to end without a signal
FIRST = 3.0  # seconds at most until the first answers, before anything is changed
AGAIN = 0.5  # seconds before it is started again
COMMAND = (sys.executable, "-I", "-S", str(Path(probe_child.__file__).resolve()))


class LiveProber:
    """Probes as jobs. A job under the key `KEY.1`, and when that has died `KEY.2`, and so on."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._going: dict[str, tuple[threading.Thread, threading.Event]] = {}

    def begin(self, probe: Probe, package: Package, inventory: Inventory, context: Context, job: str) -> str:
        """Start the probe, or follow a running one, in a thread that ends with this process."""
        if job in self._going:
            return ""
        targets, missing = _targets(probe, package, inventory, context)
        if not targets:
            return missing or "it has no target"
        spec = {"targets": targets, "every": seconds(probe.every), "timeout": seconds(probe.timeout)}
        ended = threading.Event()
        thread = threading.Thread(target=self._keep, args=(job, json.dumps(spec).encode(), ended), daemon=True)
        self._going[job] = thread, ended
        thread.start()
        self._first_sight(job, len(targets))
        return missing

    def _first_sight(self, job: str, targets: int) -> None:
        """Wait up to 3 s until each target was requested once: an outage counts only after a first answer."""
        end = time.monotonic() + FIRST
        while time.monotonic() < end:
            turned = {sight.target for sights in self._segments(job) for sight in sights if sight.kind == "turn"}
            if len(turned) >= targets:
                return
            time.sleep(0.02)

    def end(self, probe: Probe, job: str, since: str) -> AvailabilityReport:
        """Let it end, and fold what it and those before it have written down."""
        until = time.time()
        self.stop(job)
        return measured(self._segments(job), datetime.fromisoformat(since).timestamp(), until, seconds(probe.every))

    def stop(self, job: str) -> None:
        """Stop the job, and wait for its end."""
        thread, ended = self._going.pop(job, (None, None))
        if ended is not None:
            ended.set()
        self._stop_all(job)
        if thread is not None:
            thread.join(ENDING)
            self._stop_all(job)  # it may just have started another

    def _stop_all(self, job: str) -> None:
        going = [folder for folder in self._folders(job) if not (folder / "outcome.json").exists()]
        for folder in going:
            (folder / "stop").touch()
        end = time.monotonic() + ENDING
        while time.monotonic() < end and not all((folder / "outcome.json").exists() for folder in going):
            time.sleep(0.02)
        for folder in going:
            if not (folder / "outcome.json").exists():
                self._jobs.stop(folder.name)

    def _segments(self, job: str) -> list[list[ProbeSample]]:
        return [_sights(folder / "events.jsonl") for folder in self._folders(job)]

    def _folders(self, job: str) -> list[Path]:
        found = []
        for number in range(1, MOST + 1):
            folder = self._jobs.folder(f"{job}.{number}")
            if folder.is_dir():
                found.append(folder)
        return found

    def _keep(self, job: str, spec: bytes, ended: threading.Event) -> None:
        """Keep a probe running, until it is *ended*. An error here only makes a gap in the report."""
        for number in range(1, MOST + 1):
            key = f"{job}.{number}"
            if ended.is_set():
                return
            with contextlib.suppress(OSError, OrchestratorError), self._awaited(key):
                words = Job(key=key, argv=COMMAND, env={}, cwd=Path("/"), files={"targets.json": spec}, view=None)
                fresh = not (self._jobs.folder(key) / "outcome.json").exists()
                self._jobs.run(words)
                if fresh and ended.wait(AGAIN):
                    return

    @contextlib.contextmanager
    def _awaited(self, key: str) -> Iterator[None]:
        """Show the job that a process waits for it, as long as this process lives."""
        folder = self._jobs.folder(key)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / "alive").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield


def _targets(probe: Probe, package: Package, inventory: Inventory, context: Context) -> tuple[dict[str, str], str]:
    """The URLs to request, by the name of their target, and a text about those that cannot be made."""
    found: dict[str, str] = {}
    missing: list[str] = []
    try:
        hosts = inventory.select(probe.hosts) if probe.url is not None else []
    except OrchestratorError as error:
        hosts, missing = [], [error.message]
    wanted: list[tuple[str, str, str | None]] = [(host, str(probe.url), host) for host in hosts]
    wanted += [(SERVICE, probe.service, None)] if probe.service is not None else []
    for name, url, host in wanted:
        try:
            found[name] = url_filled(url, known_variables(package, inventory, context, host))
        except OrchestratorError as error:
            missing.append(f"{name or 'the service'}: {error.message}")
    return found, "; ".join(missing)


def _sights(file: Path) -> list[ProbeSample]:
    """The samples in *file*, also of an earlier version. A line that a crash has cut off is skipped."""
    found = []
    with contextlib.suppress(OSError):
        for line in file.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                found.append(ProbeSample.model_validate_json(read_text("ProbeSample", line)))
    return found
