"""The only place that joins adapters, engine and flow: `open_app` gives the command line its `App`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import config
from orchestrator.domain.journal import Kind, Run
from orchestrator.domain.release import PackageRef

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Asked:
    """What was asked for in one go: JSON data for the journal and the engine, so that it can be taken up again."""

    root: str
    kind: Kind
    release: PackageRef
    targets: tuple[str, ...]
    by: str
    plan: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As the engine keeps it."""
        return {
            "root": self.root,
            "kind": self.kind,
            "release": self.release.to_json(),
            "targets": list(self.targets),
            "by": self.by,
            "plan": self.plan,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Asked":
        """The reverse of :meth:`to_json`."""
        release = PackageRef.from_json(data["release"])
        return cls(data["root"], data["kind"], release, tuple(data["targets"]), data["by"], data["plan"])

    def runs(self, at: str) -> list[Run]:
        """One run for each environment that it goes to."""
        return [
            Run(
                id=f"{self.root}-{environment}",
                root=self.root,
                kind=self.kind,
                environment=environment,
                release=self.release,
                by=self.by,
                requested_at=at,
            )
            for environment in self.targets
        ]


class App:
    """A project with everything joined. Each part is made when it is first used.

    Args:
        root: the project's folder.
        environ: the environment variables to act under.
    """

    def __init__(self, root: Path, environ: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self.root = root
        self.environ = dict(environ)
        self.project = config.load_project(root)
        self.state = config.state_folder(root, self.environ)
