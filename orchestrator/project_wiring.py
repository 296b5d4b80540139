"""What a project is made of before any part of it: its files, its state folder, and where things are kept."""

import contextlib
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import orchestrator.config as files
from orchestrator.config.store_place import store_address
from orchestrator.domain.environment import PUSHED
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.secret import secret_variables, secrets_in_urls
from orchestrator.ports import Engines
from orchestrator.secret_values import SURROUNDINGS, SecretValues, use

if TYPE_CHECKING:
    from orchestrator.domain.environment import Environment, Project
    from orchestrator.ports import Clock


class ProjectParts:
    """The files of a project.

    *root* is the folder with its files: its *home*, or where the definition that was pushed is unpacked.

    Args:
        root: the project's folder.
        environ: the environment variables to act under.
        engines: makes the adapters of the engines; None: the real ones.
    """

    home: Path
    root: Path
    state: Path
    own: "Project"
    project: "Project"
    definition: str
    refusal: "OrchestratorError | None"
    secrets: SecretValues
    resuming: set[str]

    def __init__(self, root: Path, environ: Mapping[str, str] = os.environ, engines: Engines | None = None) -> None:
        self._engines = engines
        self.home = self.root = root
        self.environ = {**environ, "PATH": files.search_path(environ)}
        self.own = self.project = files.load_project(root)
        self.refusal = None  # why no run can start in this process
        self.definition = ""  # the digest of the definition in use; empty where the folder has the files
        self.state = files.state_folder(root, self.environ)
        self.resuming: set[str] = set()  # roots that this process has started a process for
        self.share_secrets(SecretValues())

    def share_secrets(self, secrets: SecretValues) -> None:
        """Add what this project masks to *secrets*, which become those of the project and of this process."""
        self.secrets = secrets
        secrets.learn(SURROUNDINGS, secret_variables(self.environ))
        secrets.learn(SURROUNDINGS, secrets_in_urls((self.store_url, self.shared, *self.environ.values())))
        secrets.learn_names((self.project.name, self.environ.get("USER") or ""))
        use(secrets)

    @cached_property
    def clock(self) -> "Clock":
        """The clock of this machine."""
        from orchestrator.adapters.clock import SystemClock

        return SystemClock()

    @cached_property
    def environments(self) -> files.Environments:
        """Every environment with its folder, in the order of the path; none before a definition was pushed."""
        if self.receives_definitions:
            return {}
        return files.load_environments(self.root, self.project)

    @cached_property
    def _environments_by_name(self) -> "Mapping[str, Environment]":
        return {name: environment for name, (environment, _) in self.environments.items()}

    @property
    def receives_definitions(self) -> bool:
        """Whether the project's definition is the one that was pushed, and not its folder."""
        return self.own.definition == PUSHED

    def _known_environments(self) -> "Mapping[str, Environment]":
        """The environments of this project by name; none if their files cannot be read."""
        try:
            return self._environments_by_name
        except (OrchestratorError, OrchestratorErrors):  # commands that need the files report what is wrong
            return {}

    @property
    def store_url(self) -> str:
        """Where the journal is; a relative SQLite path counts from the project."""
        return store_address(self.home, self.state, self.project, self.environ)

    @property
    def shared(self) -> str | None:
        """Where several machines share what they keep: `ORCHESTRATOR_ARTIFACTS`, or what the project's file names."""
        return self.environ.get("ORCHESTRATOR_ARTIFACTS") or self.project.artifacts

    def secret_paths(self) -> dict[str, tuple[str, ...]]:
        """The controller files that each environment declares as secret; none if the environments cannot be read."""
        with contextlib.suppress(OrchestratorError, OrchestratorErrors):
            return {name: environment.secret_paths for name, (environment, _) in self.environments.items()}
        return {}

    @property
    def claim_lasts(self) -> float:
        """Seconds after which a silent process may be taken for dead on other machines: `ORCHESTRATOR_CLAIM`, or 30."""
        return float(self.environ.get("ORCHESTRATOR_CLAIM") or 30)

    @property
    def recovers(self) -> bool:
        """Whether interrupted runs are resumed automatically: `ORCHESTRATOR_RECOVERY`, otherwise the project's file."""
        return (self.environ.get("ORCHESTRATOR_RECOVERY") or self.project.recovery) == "automatic"
