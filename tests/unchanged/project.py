"""A project of the corpus: its files, what its README says is done by hand, and what it guards."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestrator.hosts.loopback import Host

PROJECTS = Path(__file__).with_name("projects")
TOKEN = re.compile(r"@(\w+)\.(ini|yaml|address|port|key|root|known_hosts|user|app_port)@")
OWN = "@project@"
IGNORED = "gitignore"


@dataclass(frozen=True)
class Project:
    """One folder of the corpus.

    *commands* are the lines of its README that are run by hand, in order. *hosts* are the machines that it needs.
    *covers* are the mends without which it fails (`known.MENDS`), *shapes* what it is made of. *good* is whether it
    succeeds: a project that fails by hand has to fail the same way.
    """

    name: str
    folder: Path
    title: str
    commands: tuple[str, ...]
    hosts: tuple[str, ...]
    covers: tuple[str, ...]
    shapes: tuple[str, ...]
    good: bool = True

    def playbooks(self) -> Iterator["Command"]:
        """The runs of ansible-playbook."""
        yield from (command for command in map(Command.of, self.commands) if command.program == "ansible-playbook")

    def suites(self) -> Iterator["Command"]:
        """The runs of pytest."""
        yield from (command for command in map(Command.of, self.commands) if command.program == "pytest")

    def variables(self) -> dict[str, str]:
        """The variables that its runs of ansible-playbook are given; the environment of the product declares them."""
        lines = [line for line in self.commands if Command.of(line).program == "ansible-playbook"]
        return dict(found for line in lines for found in re.findall(r"(?<!\S)([A-Z_]+)=(\S+)", line))

    @property
    def has_program(self) -> bool:
        """Whether a Pulumi program belongs to it."""
        return any("pulumi" in command for command in self.commands)


@dataclass(frozen=True)
class Command:
    """A line of a README: the folder in which it is run, the program, its options and its arguments."""

    folder: str
    program: str
    options: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...]

    @classmethod
    def of(cls, line: str) -> "Command":
        """Take *line* apart."""
        change, both, rest = line.rpartition("&&")
        folder = shlex.split(change)[1] if both else "."
        program, *words = [word for word in shlex.split(rest) if not re.match(r"[A-Z_]+=", word)]
        options, arguments, waiting = [], [], ""
        for word in words:
            if waiting:
                options.append((waiting, word))
                waiting = ""
            elif word.startswith("--") and "=" in word:
                options.append((word.partition("=")[0], word.partition("=")[2]))
            elif word in {"-i", "-e", "-l", "-t", "--tags", "--skip-tags", "--vault-id", "--limit", "-c", "-k", "-m"}:
                waiting = word
            elif word.startswith("-"):
                options.append((word, ""))
            else:
                arguments.append(word)
        return cls(folder, program, tuple(options), tuple(arguments))

    def values(self, *names: str) -> list[str]:
        """The values of the options *names*."""
        return [value for name, value in self.options if name in names]


def read(folder: Path) -> Project:
    """The project in *folder*."""
    text = (folder / "README.md").read_text("utf-8")
    title = text.splitlines()[0].removeprefix("# ")

    def words(label: str) -> tuple[str, ...]:
        found = re.search(rf"^{label}: (.+)$", text, re.MULTILINE)
        return tuple(word.strip() for word in found[1].split(",")) if found else ()

    commands = tuple(line.strip() for line in text.splitlines() if line.startswith("    "))
    good = words("Result") != ("failed",)
    return Project(folder.name, folder, title, commands, words("Hosts"), words("Covers"), words("Shapes"), good)


def corpus() -> list[Project]:
    """All projects, by name."""
    return [read(folder) for folder in sorted(PROJECTS.iterdir()) if (folder / "README.md").is_file()]


def lay_down(project: Project, target: Path, hosts: Mapping[str, Host]) -> None:
    """Copy *project* to *target*, with the machines *hosts* in place of the tokens in its files."""
    shutil.copytree(project.folder, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for path in sorted(target.rglob("*")):
        if path.is_file() and not path.is_symlink():
            _fill(path, target, hosts)
    if (target / IGNORED).exists():  # of that name, so that our own Git takes all files of the corpus
        (target / IGNORED).rename(target / ".gitignore")


def commit(root: Path) -> None:
    """Make a Git repository of the project in *root*, with everything in it that is not ignored."""
    words = [
        "git",
        "-c",
        "user.name=Corpus",
        "-c",
        "user.email=corpus@example.invalid",
        "-c",
        "init.defaultBranch=main",
    ]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "The project"]):
        subprocess.run([*words, *command], cwd=root, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def _fill(path: Path, project: Path, hosts: Mapping[str, Host]) -> None:
    """Replace the tokens in one file; a file that is not text has none."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        return
    filled = TOKEN.sub(lambda found: _value(hosts[found[1]], found[2]), text).replace(OWN, str(project))
    if filled != text:
        path.write_text(filled, "utf-8")


def _value(host: Host, part: str) -> str:
    """What stands for *part* of *host*."""
    about = host.variables()
    if part == "yaml":
        return yaml.safe_dump(about, default_flow_style=True, width=10_000).strip()
    if part == "ini":
        return " ".join(f"{name}={shlex.quote(str(value))}" for name, value in about.items())
    values: dict[str, Any] = {
        "address": host.address,
        "port": host.port,
        "key": about["ansible_ssh_private_key_file"],
        "root": host.root,
        "known_hosts": f"{host.folder}/known_hosts",
        "user": host.user,
        "app_port": host.app_port,
    }
    return str(values[part])
