"""The parts of a project that start processes: the adapters of the engines, and durable execution."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from orchestrator.folders import collections_folder
from orchestrator.ports import Deployer, Engines, Gates, Jobs, Parallel, Prober, Provisioner, RunOwnership, Verifier
from orchestrator.storage_wiring import StorageParts

if TYPE_CHECKING:
    from orchestrator.adapters.views import Views
    from orchestrator.app.parts import Parts
    from orchestrator.domain.worker import WorkerConfig, WorkerEvent
    from orchestrator.domain.worker_calls import WorkerCall
    from orchestrator.engine.durable import Engine
    from orchestrator.flow.prune import Records
    from orchestrator.isolation.isolator import Isolator
    from orchestrator.register_ports import Register, WorkerCalls


class EngineParts(StorageParts):
    """What does the work of runs. Each part is made when it is first used."""

    if TYPE_CHECKING:  # `RegisterParts` has it

        @property
        def register(self) -> Register:
            """Management records and the audit stream."""

        @property
        def worker_calls(self) -> WorkerCalls:
            """The calls of use cases that workers execute."""

    @cached_property
    def jobs(self) -> Jobs:
        """Child processes."""
        from orchestrator.engine.jobs import LocalJobs

        return LocalJobs(self.state / "jobs", isolator=self.isolator, secrets=self.secrets)

    def isolator(self) -> "Isolator":
        """What isolates processes, by the setting in the project's file. Raises I101 and I102."""
        from orchestrator.isolation.find import find_isolator

        return find_isolator(self.project.isolation, self.environ)

    @cached_property
    def views(self) -> "Views":
        """What processes find of this machine."""
        from orchestrator.adapters.views import Views

        return Views(self.root, self.state, self.environ, self.isolator, self._known_environments)

    @cached_property
    def engines(self) -> Engines:
        """Where every adapter of an engine comes from: those given to this project, otherwise the real ones."""
        if self._engines is not None:
            return self._engines
        from orchestrator.adapters.live import LiveEngines

        own = collections_folder()
        known = (self.artifacts, self.keys, self.secrets, self.views)
        return LiveEngines(self.jobs, self.state, self.root, own, self.environ, *known)

    @cached_property
    def provisioner(self) -> Provisioner:
        """Pulumi."""
        return self.engines.provisioner()

    @cached_property
    def deployer(self) -> Deployer:
        """Ansible."""
        return self.engines.deployer(f"process {os.getpid()}")

    @cached_property
    def verifier(self) -> Verifier:
        """Testinfra."""
        return self.engines.verifier()

    @cached_property
    def gates(self) -> Gates:
        """Requests, queries and commands."""
        from orchestrator.adapters.gates.live_gates import LiveGates

        return LiveGates(self.jobs, self.root, self.environ, self.secrets, self.views)

    @cached_property
    def prober(self) -> Prober:
        """The probe of a service during a rollout."""
        from orchestrator.adapters.gates.prober import LiveProber

        return LiveProber(self.jobs)

    @cached_property
    def engine(self) -> "Engine":
        """Durable execution."""
        from orchestrator.adapters.database.engine import engine_url
        from orchestrator.engine.durable import Engine, EngineConfig

        bound = not self.store_url.startswith("sqlite")  # a file is on one machine: no other one takes over a claim
        place = EngineConfig(engine_url(self.store_url), self.state / "executors", self.claim_lasts, bound=bound)
        return Engine(place, self.store, self.jobs, self._workflow, self.secrets)

    @property
    def durable_records(self) -> "Records":
        """The records of durable execution, for their removal."""
        from orchestrator.engine.points import failpoint
        from orchestrator.flow.prune import Records

        engine = self.engine
        return Records(engine.complete_requests, engine.alone, engine.forget, lambda at: failpoint(f"prune {at}"))

    def run_in_background(self, root: str) -> int:
        """Resume *root* in a process without a terminal, as soon as no other has it. Returns its number."""
        log = self._background_log(root)
        words = [sys.executable, "-P", "-m", "orchestrator", "-C", str(self.home), "resume", root, "--background"]
        with log.open("ab") as out:
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environ, start_new_session=True
            ).pid

    def run_worker(
        self,
        rules: "WorkerConfig",
        on_event: "Callable[[WorkerEvent], None]",
        work: Callable[[str], int],
        tidy: Callable[[], None],
        duties: Callable[[], Iterable[str]],
        answer: "Callable[[WorkerCall], None]",
    ) -> None:
        """Take requests by *rules* until stopped. *work* executes one, *answer* a call, in own processes."""
        from orchestrator.adapters.clock import SystemClock
        from orchestrator.domain.moments import parse_moment
        from orchestrator.engine.worker import Worker, can_fork, fork_child, forked

        def start(root: str) -> int:
            self.register.close()  # no connection is open in two processes
            self.worker_calls.close()
            if can_fork():
                return forked(self.engine, self.store, root, self._background_log(root), lambda: work(root))
            return self.run_in_background(root)

        def begin_call() -> tuple[str, int] | None:
            call = self.worker_calls.take(
                f"process {os.getpid()}, {secrets.token_hex(4)}", parse_moment(SystemClock().now())
            )
            if call is None:
                return None

            def work_on() -> int:
                answer(call)
                return 0

            for part in (self.register, self.worker_calls, self.store):
                part.close()
            if can_fork():
                return call.id, fork_child(self._background_log("calls"), work_on)
            return call.id, work_on()

        Worker(self.engine, self.store, start, on_event, rules, tidy, duties, begin_call).run()

    def _background_log(self, root: str) -> Path:
        folder = self.state / "background"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / f"{root}.log"

    def _workflow(self, durable: Parallel, ownership: RunOwnership, data: dict[str, Any]) -> dict[str, Any]:
        from orchestrator.app.execute import run_workflow

        return run_workflow(cast("Parts", self), durable, ownership, data)
