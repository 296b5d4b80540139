"""The whole application on the adapters in memory: the composition that stories of the command line run on."""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orchestrator.adapters.memory.definition_archives import MemoryDefinitionArchives
from orchestrator.adapters.memory.execution import MemoryExecution
from orchestrator.adapters.memory.kept_replies import MemoryKeptReplies
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.register import MemoryRegister
from orchestrator.adapters.memory.sign_ins import MemorySignIns
from orchestrator.adapters.memory.worker_calls import MemoryWorkerCalls
from orchestrator.app.parts import Execution
from orchestrator.flow.halt import SoleOwner
from orchestrator.register_ports import DefinitionArchives, KeptReplies, Register, SignIns, WorkerCalls
from orchestrator.services import Services
from orchestrator.wiring import App
from tests.cli.memory_project import MemoryProject


class MemoryApplication(App):
    """The application of *project*: its journal, its world, and a register in memory."""

    parked = taken_over = False
    stop_reason = ""

    def __init__(self, project: MemoryProject, environ: Mapping[str, str]) -> None:
        super().__init__(project.folder, environ)
        self._memory = project

    @cached_property
    def services(self) -> Services:
        """The setting of the memory world, with the calendar of the register."""
        return replace(self._memory.services(), state=self.state, entrance=self.entrance)

    @cached_property
    def engines(self) -> Any:
        """The adapters of the memory world."""
        own = self._memory.services()
        return SimpleNamespace(
            provisioner=lambda: own.provisioner, deployer=lambda _own: own.deployer, verifier=lambda: own.verifier
        )

    @cached_property
    def keys(self) -> Any:
        """A key in memory."""
        return MemoryKeys()

    @cached_property
    def register(self) -> Register:
        """A register in memory."""
        return MemoryRegister("demo")

    @cached_property
    def sign_ins(self) -> SignIns:
        """Sessions in memory."""
        return MemorySignIns()

    @cached_property
    def kept_replies(self) -> KeptReplies:
        """Replies in memory."""
        return MemoryKeptReplies()

    @cached_property
    def worker_calls(self) -> WorkerCalls:
        """Calls in memory."""
        return MemoryWorkerCalls()

    @cached_property
    def definition_archives(self) -> DefinitionArchives:
        """Archives in memory."""
        return MemoryDefinitionArchives()

    @cached_property
    def engine(self) -> Any:
        """Execution in this process."""
        made: Execution = MemoryExecution(self.store, self._workflow, SoleOwner())
        return made

    def run_in_background(self, root: str) -> int:
        """Execute *root* here, and return the number of a process that has ended."""
        self.engine.begin(root, self.store.work(root).request)()
        if (child := os.fork()) == 0:
            os._exit(0)
        return child

    def close(self) -> None:
        """Nothing is open."""


class MemoryComposition:
    """Opens one application in memory, as often as commands want it: what it keeps outlives each of them."""

    def __init__(self, project: MemoryProject) -> None:
        self._project, self._made = project, dict[str, MemoryApplication]()

    def __call__(self, start: Path, environ: Mapping[str, str], *, restoring: bool) -> MemoryApplication:
        """The application."""
        del start, restoring
        return self._made.setdefault("it", MemoryApplication(self._project, environ))
