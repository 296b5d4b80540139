"""What processes find of the controller: the views of one project's plays, suites, gates and commands that read.

A view names what belongs to one environment. It shows nothing of the state folder, of the keys of other environments,
or of the home folder, unless the environment declares it.
"""

import os
import pwd
import re
import site
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator.adapters.connection_files import connection_files, inventory_files
from orchestrator.domain.authentication import KEY_FILE
from orchestrator.domain.environment import AnsibleSettings, Environment, EnvironmentSettings, IsolationRule
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.view import View
from orchestrator.isolation import system
from orchestrator.isolation.find import UNSET, find_isolator
from orchestrator.isolation.isolator import Isolator
from orchestrator.isolation.mounts import changeable, visible
from orchestrator.isolation.run import run_in_view

KNOWN_HOSTS = (".ssh/known_hosts", ".ssh/known_hosts2")
BESIDE = ("group_vars", "host_vars")
ASKED_FOR = {
    "SSH_AUTH_SOCK", "KRB5CCNAME", "VAULT_ADDR", "VAULT_TOKEN", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY",
    "HTTPS_PROXY", "NO_PROXY",
}  # fmt: skip
"""The variables that isolated processes get only where the environment declares them."""
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
REFUSED = "I110"
"""The code of an access that isolation refused."""
CONTROL = "/tmp/ssh"  # noqa: S108 - the folder of control sockets in the process's own temporary folder
FILE_SETTINGS = (
    "private_key_file", "vault_password_file", "vault_identity_list", "vault_identity", "become_password_file",
    "connection_password_file",
)  # fmt: skip
KEY_VARIABLES = ("ansible_ssh_private_key_file", *(f"ansible_{name}" for name in FILE_SETTINGS))
_PATH = re.compile(r"(?<![\w./~-])(~?/[^\s\"'`,;:=<>|(){}\[\]]+)")
_QUOTED = re.compile(r"[Nn]o such file or directory: ['\"]([^'\"]+)['\"]")
_MISSING = re.compile(
    r"no such file|not found|(cannot|could not) find|does not exist|permission denied|unable to", re.IGNORECASE
)
_WRITES = re.compile(r"read-only file system|destination directory|not writable", re.IGNORECASE)
_NO_KEY = re.compile(r"Permission denied \([^)]*publickey")
_KEY_NAME = re.compile(r"\.(pem|key|p12|pfx|vault)$|^id_[a-z0-9]+$|pass|secret|^\.", re.IGNORECASE)
_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "config")
STARTS = 3  # how often a command that only reads is started when a signal ends it each time


class Views:
    """The views of one project.

    Args:
        root: the folder of the project; None if only packages are known.
        state: its state folder, which no process finds.
        environ: the environment variables of the controller.
        isolator: what isolates processes; by default as a project without the setting `isolation` has it.
        environments: the environments of the project, for the keys of the other ones.
    """

    def __init__(
        self,
        root: Path | None,
        state: Path,
        environ: Mapping[str, str],
        isolator: Callable[[], Isolator] | None = None,
        environments: Callable[[], Mapping[str, Environment]] = dict,
    ) -> None:
        self.root, self._state, self._environ = root, state, environ
        self.isolator = isolator or (lambda: find_isolator(UNSET, environ))
        self._environments = environments

    @property
    def isolates(self) -> bool:
        """Whether processes are isolated here."""
        return self.isolator().isolates

    def of(
        self,
        settings: AnsibleSettings | None = None,
        *,
        read: Iterable[str | Path] = (),
        write: Iterable[str | Path] = (),
        keys: Iterable[str | Path] = (),
        copy: Path | None = None,
        empty: Iterable[str] = (),
    ) -> View:
        """The view of a process of the environment with these *settings*; without them, of no environment.

        Args:
            settings: what the environment declares.
            read: what the process may read.
            write: what it may write as well.
            keys: files that the operator's settings of this environment name, also if another environment names them.
            copy: the copy of a package that it finds at the path of the project.
            empty: folders of its own.

        Raises I103.
        """
        own, known, declared, changed = [*map(str, keys)], list[str](), list[str](), list[str]()
        if settings is not None:
            own += [*self._keys_of(settings), *connection_files([settings.extra_vars], None, self.root)]
            known = [f"{home}/{name}" for home in self._homes() for name in KNOWN_HOSTS]
        hidden = self._hidden(own)
        if settings is not None:
            declared = list(self._declared(settings, hidden))
            changed = list(self._named("write", _rule(settings).write, hidden))
        placed = ((str(copy), str(self.root)),) if copy is not None and self.root is not None else ()
        return View(
            read=(*self._code(), *known, *declared, *own, *map(str, read)),
            write=(*changed, *map(str, write)),
            placed=placed,
            empty=(*self._homes(), *([str(self.root)] if self.root is not None else []), *empty),
            hidden=hidden,
        )

    def of_program(
        self,
        settings: EnvironmentSettings,
        *,
        read: Iterable[str | Path],
        write: Iterable[str | Path],
        named: Iterable[str | Path],
        passphrase: str,
        empty: Iterable[str],
    ) -> View:
        """The view of a Pulumi program of the environment with these *settings*: not the keys of its hosts.

        *named* are files that variables name, and *passphrase* is a file that no other process finds. Raises I103.
        """
        own = os.path.normpath(passphrase) if passphrase else ""
        hidden = tuple(path for path in self._hidden([]) if path != own)
        shown = [str(path) for path in named if not any(system.within(str(path), closed) for closed in hidden)]
        return View(
            read=(*self._code(), *self._declared(settings, hidden), *map(str, read), *shown, *filter(None, [own])),
            write=(*self._named("write", settings.isolation.write, hidden), *map(str, write)),
            empty=(*self._homes(), *([str(self.root)] if self.root is not None else []), *empty),
            hidden=hidden,
        )

    def notes(self, settings: AnsibleSettings) -> list[str]:
        """The notes of a plan on isolation, a sentence each."""
        found = self.isolator()
        if not found.isolates:
            return [f"processes are not isolated here ({found.reason}): code of a package can act as the operator"]
        asked = sorted(name for name in ASKED_FOR if self._environ.get(name) and name not in settings.environment)
        line = "isolation: {environment: [NAME]} in environment.yaml"
        return [f"{name} is set here, and isolated processes do not get it without {line}" for name in asked]

    def seen(self, copy: Path) -> Path:
        """The path at which an isolated process finds the *copy* of a package."""
        return self.root if self.isolates and self.root is not None else copy

    def passed(self, names: Iterable[str], declared: Iterable[str]) -> set[str]:
        """Those of the variables *names* that a process gets, and those that its environment has *declared*."""
        left_out = ASKED_FOR if self.isolates else set[str]()
        return (set(names) - left_out) | set(declared)

    def run(
        self,
        argv: Sequence[str],
        view: View,
        *,
        cwd: str | Path,
        env: Mapping[str, str],
        stderr: int = subprocess.PIPE,
        timeout: float | None = None,
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run a command that only reads, in *view*, to its end. Raises `subprocess.TimeoutExpired`."""
        return run_in_view(self.isolator(), view, argv, cwd=str(cwd), env=dict(env), stderr=stderr, timeout=timeout)

    def answer(
        self, argv: Sequence[str], view: View, *, cwd: str | Path, env: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[bytes]":
        """As :meth:`run`; a command that a signal has ended gave no answer, and is started again."""
        for _ in range(STARTS):
            done = self.run(argv, view, cwd=cwd, env=env)
            if done.returncode >= 0:
                break
        return done

    def inventory(self, inventory: Inventory) -> list[str]:
        """What a process needs to read the files of *inventory*, and the keys that its variables name."""
        found: list[str] = []
        for name in inventory.files:
            path = Path(name)
            found += [str(path), *(str(path.parent / beside) for beside in BESIDE)]
            if path.is_file() and os.access(path, os.X_OK):
                found += _beside(path.parent) if self._holds_more(path.parent) else [str(path.parent)]
        state, hosts = str(self._state), str(self._state / "hosts")  # the keys of loopback hosts are in the second
        named = inventory_files(inventory, self.root)
        return [*found, *(path for path in named if not system.within(path, state) or system.within(path, hosts))]

    def refused(self, text: str, view: View, settings: AnsibleSettings | None = None, where: str = "") -> str:
        """What to do about the first path in *text* that the machine has and *view* does not; empty if there is none.

        *where* is the file of the environment.
        """
        if failure := self.isolator().failure(text):
            return f"{failure} (I104)"
        writes = _WRITES.search(text) is not None
        if not self.isolates or not (writes or _MISSING.search(text)):
            return ""
        place = where or "environment.yaml"
        for path in self._paths(text):
            if not visible(path, view):
                return self._advice(path, view, settings, place, "write" if writes else "read")
        folder = next(self._fixed_folders(text, view), None) if writes else None
        if folder is not None:
            line = self._line(folder, settings, "write")
            return f"an isolated process cannot write to {folder} of the controller: add {line} to {place} ({REFUSED})"
        return self._without_keys(view, settings, place) if _NO_KEY.search(text) else ""

    def _without_keys(self, view: View, settings: AnsibleSettings | None, where: str) -> str:
        """What to do about a host that accepted no key, if keys are here that *view* does not have."""
        if self._environ.get("SSH_AUTH_SOCK") and "SSH_AUTH_SOCK" not in (settings.environment if settings else ()):
            line = "isolation: {environment: [SSH_AUTH_SOCK]}"
            return f"isolated processes do not get the agent of SSH_AUTH_SOCK: add {line} to {where} ({REFUSED})"
        keys = next((f"{home}/.ssh" for home in self._homes() if Path(home, ".ssh").is_dir()), None)
        if keys is None or any(Path(keys, name).exists() and visible(f"{keys}/{name}", view) for name in _KEYS):
            return ""
        return self._advice(keys, view, settings, where, "read")

    def _advice(self, path: str, view: View, settings: AnsibleSettings | None, where: str, key: str) -> str:
        if any(system.within(path, hidden) for hidden in view.hidden):
            whose = "the orchestrator or to another environment"
            return f"{path} belongs to {whose}; no isolated process finds it ({REFUSED})"
        line = self._line(path, settings, key)
        return f"{path} exists and is not visible to isolated processes: add {line} to {where} ({REFUSED})"

    def _line(self, path: str, settings: AnsibleSettings | None, key: str) -> str:
        """The line of `environment.yaml` that declares *path* under *key*, besides what is declared already."""
        shown = next((f"~{path[len(home) :]}" for home in self._homes() if system.within(path, home)), path)
        declared = _rule(settings).model_dump(exclude_defaults=True)
        return f"isolation: {{{', '.join(_listed({**declared, key: [*declared.get(key, ()), shown]}))}}}"

    def _fixed_folders(self, text: str, view: View) -> Iterator[str]:
        """The folders of the paths in *text* that a process with *view* finds and cannot change."""
        for name in dict.fromkeys([*_PATH.findall(text), *_QUOTED.findall(text)]):
            folder = Path(self._expanded(name.rstrip(".'\")"))).parent
            if folder.is_dir() and folder != Path("/") and not changeable(str(folder), view):
                yield str(folder)

    def _paths(self, text: str) -> Iterator[str]:
        """The paths in *text* that this machine has."""
        for name in dict.fromkeys([*_PATH.findall(text), *_QUOTED.findall(text)]):
            path = self._expanded(name.rstrip(".'\")"))
            if path != "/" and os.path.lexists(path):
                yield path

    def _code(self) -> Iterator[str]:
        """Code that is found as by hand: modules that Python imports, and programs on PATH outside the home folder."""
        yield from self._python_modules()
        for path in self._environ.get("PATH", os.defpath).split(os.pathsep):
            below = any(system.within(path, home) for home in self._homes())
            if Path(path).is_absolute() and not below and not self._holds_more(Path(path)):
                yield path
        for name in CERTIFICATES:
            path = self._environ.get(name, "")
            if Path(path).is_absolute() and not self._holds_more(Path(path)):
                yield path
        cache = self._environ.get("XDG_CACHE_HOME") or f"{self._environ.get('HOME', '')}/.cache"
        yield f"{cache}/orchestrator/sshd"  # the client of ssh, where the machine has none

    def _python_modules(self) -> Iterator[str]:
        """The folders of the modules that Python imports here, without the project and the orchestrator."""
        user = site.getusersitepackages() if site.ENABLE_USER_SITE else ""
        package = str(Path(__file__).resolve().parents[2])
        for path in dict.fromkeys([user, *sys.path]):
            # Python adds the folder in which the orchestrator was started.
            own = self.root is not None and system.within(os.path.normpath(path), str(self.root))
            if path and path != package and Path(path).is_absolute() and not own and not self._holds_more(Path(path)):
                yield path

    def _holds_more(self, folder: Path) -> bool:
        """Whether *folder* is, or has in it, the project, the state folder or a home folder."""
        places = [*self._homes(), str(self._state), *([str(self.root)] if self.root is not None else [])]
        return any(system.within(place, os.path.normpath(folder)) for place in places)

    def _homes(self) -> list[str]:
        """The home folder of the user: by the variable, and by the list of users, as ssh takes it."""
        homes = [self._environ.get("HOME", ""), pwd.getpwuid(os.geteuid()).pw_dir]
        return [path for path in dict.fromkeys(map(os.path.normpath, filter(None, homes))) if path not in {"/", "."}]

    def _expanded(self, path: str) -> str:
        home = self._environ.get("HOME") or str(Path.home())
        whole = home + path[1:] if path == "~" or path.startswith("~/") else path
        return os.path.normpath((self.root or Path("/")) / whole)

    def _hidden(self, own: list[str]) -> tuple[str, ...]:
        """What no process finds: the state folder, the project key, and what only other environments name."""
        found = [str(self._state), *([str(self.root / ".orchestrator")] if self.root is not None else [])]
        named = (self._environ.get(name) for name in (KEY_FILE, "PULUMI_CONFIG_PASSPHRASE_FILE"))
        found += [self._expanded(path) for path in named if path]
        return tuple(dict.fromkeys([*found, *(path for path in self._others_keys() if path not in own)]))

    def _others_keys(self) -> list[str]:
        """The files with keys and passwords that the settings of any environment name."""
        return [path for item in self._environments().values() for path in self._keys_of(item.ansible)]

    def _keys_of(self, settings: AnsibleSettings) -> Iterator[str]:
        """The files with keys and passwords that *settings* name."""
        named = [str(settings.transport.get(name) or "") for name in FILE_SETTINGS]
        named += [str(settings.extra_vars.get(name) or "") for name in KEY_VARIABLES]
        for part in (part.strip() for text in (*settings.vault_ids, *named) for part in text.split(",")):
            if part:
                yield self._expanded(part.rpartition("@")[2])

    def _named(self, key: str, names: Iterable[str], hidden: tuple[str, ...]) -> Iterator[str]:
        """The paths *names* that an environment declares under *key*. Raises I103."""
        for name in names:
            path = self._expanded(name)
            for place in (path, os.path.realpath(path)):
                if any(system.within(place, closed) for closed in hidden):
                    raise OrchestratorError("I103", f"isolation.{key} names {name}, which is never shown to a process")
            yield path

    def _declared(self, settings: AnsibleSettings, hidden: tuple[str, ...]) -> Iterator[str]:
        """What the environment declares, and the sockets and files that its declared variables name. Raises I103."""
        yield from self._named("read", _rule(settings).read, hidden)
        for name in settings.environment:
            value = self._environ.get(name, "").removeprefix("FILE:")  # as Kerberos has it
            usable = Path(value).is_absolute() and Path(value).exists()
            if usable and not any(system.within(os.path.normpath(value), closed) for closed in hidden):
                yield value


def _listed(declared: Mapping[str, Iterable[str]]) -> list[str]:
    """The declarations of an environment, as one line of `environment.yaml`."""
    return [f"{key}: [{', '.join(names)}]" for key, names in declared.items()]


def _rule(settings: AnsibleSettings | None) -> IsolationRule:
    return settings.isolation if isinstance(settings, EnvironmentSettings) else IsolationRule()


def _beside(folder: Path) -> list[str]:
    """What a program in *folder* may read of it: data, and packages of Python; no keys, and no other folders."""
    return [
        str(path)
        for path in folder.iterdir()
        if (path.is_file() and not _KEY_NAME.search(path.name)) or (path.is_dir() and any(path.glob("*.py")))
    ]
