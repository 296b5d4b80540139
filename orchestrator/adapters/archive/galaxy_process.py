"""`ansible-galaxy` as a process: with the variables on a list, a home folder of its own, and one `ansible.cfg`."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.adapters.ansible.configuration import PASSED
from orchestrator.adapters.views import Views
from orchestrator.domain.configuration import CONFIG_FILE
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.text import clean_text

CREDENTIALS = {"HOME", "KRB5CCNAME", "SSH_AUTH_SOCK", "VAULT_ADDR", "VAULT_TOKEN"}
KINDS = ("roles", "collections")
TIMEOUT = 900.0  # seconds, for one requirements file
SHOWN = 1500  # characters of the output


@dataclass(frozen=True)
class GalaxyProcess:
    """How `ansible-galaxy` is run.

    Args:
        environ: the environment variables of the controller.
        declared: names of variables that it is given as well, such as the token of a server.
        project: the folder of the project, whose `ansible.cfg` counts where the requirements file has none beside it.
        views: what it finds of this machine; by default nothing but what it is given.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    declared: tuple[str, ...] = ()
    project: Path | None = None
    views: Views | None = None

    def install(self, kind: str, file: Path, named: Path, target: Path, scratch: Path) -> None:
        """Install the roles or collections of the requirements *file* into *target*.

        It is run in the folder of *named*, the requirements file of the project. Raises P107.
        """
        folder = named.parent
        command = [sys.executable, "-P", "-m", "ansible", "galaxy", kind.removesuffix("s"), "install"]
        command += ["-r", str(file), "-p", str(target)]
        env = self.environment(folder, scratch)
        views = self.views or Views(None, scratch, self.environ)
        read: list[str | Path] = [file, named, env["ANSIBLE_CONFIG"], *local_sources(named, _entries(named))]
        settings = AnsibleSettings(environment=self.declared)
        view = views.of(settings, read=read, write=[target.parent, scratch], empty=[str(folder)])
        try:
            done = views.run(command, view, cwd=folder, env=env, timeout=TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise OrchestratorError("P107", f"ansible-galaxy took more than {TIMEOUT:.0f} s for {named}") from error
        if done.returncode:
            output = clean_text((done.stderr or done.stdout).decode("utf-8", "replace").strip())[-SHOWN:]
            raise OrchestratorError("P107", f"the {kind} of {named} could not be installed:\n{output}")

    def environment(self, folder: Path, scratch: Path) -> dict[str, str]:
        """Every variable of the process. It writes below *scratch* only."""
        allowed = {*(name for name in PASSED if name not in CREDENTIALS), *self.declared}
        (scratch / "home").mkdir(parents=True, exist_ok=True)
        (scratch / CONFIG_FILE).touch()
        bases = [folder, *([self.project] if self.project is not None else []), scratch]
        own = {
            "HOME": str(scratch / "home"),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), self.environ.get("PATH", os.defpath)]),
            "ANSIBLE_CONFIG": str(next(base / CONFIG_FILE for base in bases if (base / CONFIG_FILE).is_file())),
            "ANSIBLE_HOME": str(scratch / "home"),
            "ANSIBLE_LOCAL_TEMP": str(scratch / "tmp"),
            "ANSIBLE_GALAXY_CACHE_DIR": str(scratch / "galaxy_cache"),
            "ANSIBLE_NOCOLOR": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        given = {name: value for name, value in self.environ.items() if name in allowed}
        return {"LANG": "C.UTF-8", **own, **given, "ANSIBLE_CONFIG": own["ANSIBLE_CONFIG"], "PATH": own["PATH"]}


def local_sources(file: Path, entries: Iterable[Any]) -> Iterator[Path]:
    """The files and folders of this machine that the *entries* of the requirements *file* name."""
    for entry in entries:
        data = entry if isinstance(entry, dict) else {"name": entry}
        for key in ("name", "source", "src"):
            path = Path(str(data.get(key) or "").removeprefix("git+").removeprefix("file://"))
            if path.parts and (file.parent / path).exists():
                yield file.parent / path


def _entries(file: Path) -> list[Any]:
    """The entries of both kinds in a requirements file that was read before: `ansible-galaxy` verifies all of them."""
    data = yaml.safe_load(file.read_text("utf-8"))
    return data if isinstance(data, list) else [entry for kind in KINDS for entry in data.get(kind) or []]
