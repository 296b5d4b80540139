"""Ansible's settings for a run: what the user has set stays, and what is left is set for speed.

The figures behind the choices are printed by `bench/deploy.py`; see `docs/performance.md`.
"""

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator.domain.environment import AnsibleSettings

PASSED = (
    "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "KRB5CCNAME", "http_proxy",
    "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "VAULT_ADDR", "VAULT_TOKEN",
)  # fmt: skip
SSH_ARGS = (
    "-C -o ControlMaster=auto -o ControlPersist=120s -o PreferredAuthentications=publickey -o GSSAPIAuthentication=no"
)
_PIPELINING = (("defaults", "pipelining"), ("connection", "pipelining"), ("ssh_connection", "pipelining"))
TUNED = {  # variable: (the options of ansible.cfg that mean the same, our value)
    "ANSIBLE_PIPELINING": (_PIPELINING, "True"),
    "ANSIBLE_SSH_ARGS": ((("ssh_connection", "ssh_args"),), SSH_ARGS),
    "ANSIBLE_SSH_USETTY": ((("ssh_connection", "usetty"),), "False"),
    "ANSIBLE_SSH_TRANSFER_METHOD": ((("ssh_connection", "transfer_method"),), "piped"),
    "ANSIBLE_SSH_CONTROL_PATH": ((("ssh_connection", "control_path"),), "%(directory)s/%%C"),
}  # fmt: skip
FORKS = (("defaults", "forks"),)
HOST_KEYS = (("defaults", "host_key_checking"), ("ssh_connection", "host_key_checking"))
STRATEGY = (("defaults", "strategy"),)
ROLES, COLLECTIONS = (
    (("defaults", "roles_path"),),
    (("defaults", "collections_path"), ("defaults", "collections_paths")),
)
SECRET_FILES = {
    "ANSIBLE_VAULT_PASSWORD_FILE": "vault_password_file",
    "ANSIBLE_VAULT_IDENTITY_LIST": "vault_identity_list",
    "ANSIBLE_PRIVATE_KEY_FILE": "private_key_file",
}
DEFAULT_ROLES = "~/.ansible/roles:/usr/share/ansible/roles:/etc/ansible/roles"
CALLBACKS = (("defaults", "callback_plugins"),)
DEFAULT_CALLBACKS = "~/.ansible/plugins/callback:/usr/share/ansible/plugins/callback"
DEFAULT_COLLECTIONS = "~/.ansible/collections:/usr/share/ansible/collections"


class UserSettings:
    """What the user's `ansible.cfg` in *project*, or environment, says."""

    def __init__(self, project: Path, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._config = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
        self.file = project / "ansible.cfg"
        if self.file.is_file():
            self._config.read_string(self.file.read_text(encoding="utf-8"))

    def get(self, variable: str, options: tuple[tuple[str, str], ...]) -> str | None:
        """The user's value, from the environment first, as Ansible does it; None where there is none."""
        if self._environ.get(variable):
            return self._environ[variable]
        for section, option in options:
            if self._config.has_option(section, option):
                return self._config.get(section, option)
        return None


def environment(
    project: Path,
    home: Path | None,
    collections: Path,
    control: Path,
    hosts: int,
    settings: AnsibleSettings,
    environ: Mapping[str, str],
) -> dict[str, str]:
    """The whole environment for Ansible's process: what is on the list, the user's Ansible variables, and ours.

    *project* is the folder in the package that Ansible runs in; *home* is the user's own project, where the files are
    that never go into a package: passwords of vaults, private keys.
    """
    allowed = {*PASSED, *settings.environment}
    env = {name: value for name, value in environ.items() if name in allowed or name.startswith("ANSIBLE_")}
    user = UserSettings(project, environ)
    for variable, (options, value) in TUNED.items():
        if user.get(variable, options) is None:
            env[variable] = value
    if settings.forks is not None or user.get("ANSIBLE_FORKS", FORKS) is None:
        env["ANSIBLE_FORKS"] = str(settings.forks or min(max(hosts, 1), 10 * (os.cpu_count() or 1), 50))
    if settings.strategy is not None:
        env["ANSIBLE_STRATEGY"] = settings.strategy
    checking = user.get("ANSIBLE_HOST_KEY_CHECKING", HOST_KEYS)
    env["ANSIBLE_HOST_KEY_CHECKING"] = checking if checking is not None else str(settings.host_key_checking)
    if home is not None:
        env |= {name: value for name, value in _secrets(user, project, home) if name not in env}
    env["ANSIBLE_SSH_CONTROL_PATH_DIR"] = str(control)
    env["ANSIBLE_ROLES_PATH"] = _paths(project, user.get("ANSIBLE_ROLES_PATH", ROLES), "roles", DEFAULT_ROLES)
    found = _paths(project, user.get("ANSIBLE_COLLECTIONS_PATH", COLLECTIONS), "collections", DEFAULT_COLLECTIONS)
    packed = str(project / "collections")  # where our own collection is, as the release was verified with it
    places = [*found.split(os.pathsep), *([packed] if Path(packed).is_dir() else []), str(collections)]
    env["ANSIBLE_COLLECTIONS_PATH"] = os.pathsep.join(dict.fromkeys(places))
    callbacks = user.get("ANSIBLE_CALLBACK_PLUGINS", CALLBACKS)  # ansible-runner's own variable would hide the user's
    env["ANSIBLE_CALLBACK_PLUGINS"] = _paths(project, callbacks, "callback_plugins", DEFAULT_CALLBACKS)
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    env.setdefault("LANG", "C.UTF-8")
    return env | {"PYTHONUNBUFFERED": "1", "ANSIBLE_RETRY_FILES_ENABLED": "False", "PYTHONDONTWRITEBYTECODE": "1"}


def _secrets(user: UserSettings, project: Path, home: Path) -> Iterator[tuple[str, str]]:
    """The files that the user's `ansible.cfg` names and that stay outside packages, found in the user's project."""
    for variable, option in SECRET_FILES.items():
        named = user.get(variable, (("defaults", option),))
        if named:
            yield variable, ",".join(at_home(part.strip(), project, home) for part in named.split(","))


def at_home(named: str, project: Path, home: Path) -> str:
    """*named* (`path` or `label@path`) with its path found in the user's project, when the package has no such file."""
    label, at, path = named.rpartition("@")
    relative = Path(path).expanduser()
    if relative.is_absolute() or (project / relative).exists() or not (home / relative).exists():
        return named
    return f"{label}{at}{home / relative}"


def _paths(project: Path, users: str | None, folder: str, default: str) -> str:
    """The user's search path, made absolute; without one the project's own *folder*, then Ansible's defaults."""
    if users is None:
        own = [str(project / folder)] if (project / folder).is_dir() else []
        return os.pathsep.join([*own, *default.split(":")])
    parts = [str(Path(part).expanduser()) for part in users.split(":") if part]
    return os.pathsep.join(part if part.startswith("/") else str(project / part) for part in parts)
