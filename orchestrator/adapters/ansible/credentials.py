"""Files with passwords and keys that Ansible needs and that this machine does not have. Their content is not read."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from orchestrator.adapters.ansible.configuration import Configurations, Effective
from orchestrator.domain.credentials import MissingCredential
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.inventory import Inventory, variables_of
from orchestrator.domain.release import Package
from orchestrator.domain.text import few

IDENTITIES = "vault_identity_list"
PASSWORDS = ("vault_password_file", IDENTITIES, "become_password_file", "connection_password_file")
KEY = "private_key_file"
KEYS = (f"ansible_ssh_{KEY}", f"ansible_{KEY}")
ASKED = frozenset({"prompt", "prompt_ask_vault_pass"})
"""What Ansible takes for a question, and not for a file with a password."""
OWN = "environment.yaml"
LABEL = re.compile(r"(?:^|(?<=,))\s*[^,@]*@")
"""The label of a vault's identity."""


def missing_passwords(
    configurations: Configurations, package: Package | None, files: tuple[str, ...], settings: AnsibleSettings
) -> tuple[MissingCredential, ...]:
    """The files with passwords that the plays of *package*, or the inventory *files*, need. Raises D150."""
    effective = [configurations.of_hosts(files, settings)]
    if package is not None:
        effective += [configurations.of_play(package, book, settings) for book in package.manifest.release.playbooks()]
    found: dict[Path, MissingCredential] = {}
    for each in effective:
        for option in PASSWORDS:
            value = each.settings.get(("defaults", option)) or ""
            for path in _paths(effective[0].folder, LABEL.sub("", value) if option == IDENTITIES else value):
                text = f"{option} of {each.settings.origin(('defaults', option)) or OWN} names it"
                missing = _missing(path, text, "plan")
                if missing is not None:
                    found.setdefault(path, missing)
    return tuple(found.values())


def missing_keys(
    configurations: Configurations, inventory: Inventory, settings: AnsibleSettings, hosts: Iterable[str]
) -> tuple[MissingCredential, ...]:
    """The files with keys that are named for *hosts*. Raises D150."""
    effective = configurations.of_hosts(inventory.files, settings)
    named: dict[tuple[Path, str], list[str]] = {}
    for host in hosts:
        value, origin = _key_of(variables_of(inventory, host), effective, settings)
        for path in _paths(effective.folder, value):
            named.setdefault((path, origin), []).append(host)
    found = [_missing(path, f"{why} names it for {few(names, 3)}", "hosts") for (path, why), names in named.items()]
    return tuple(each for each in found if each is not None)


def _key_of(variables: Mapping[str, Any], effective: Effective, settings: AnsibleSettings) -> tuple[str, str]:
    """The file with the key of a host with these *variables*, and where it is named. Both are empty without one."""
    for where, known in ((f"ansible.extra_vars of {OWN}", settings.extra_vars), ("the inventory", variables)):
        for name in KEYS:
            if isinstance(value := known.get(name), str) and value:
                return value, where
    option = ("defaults", KEY)
    return effective.settings.get(option) or "", f"{KEY} of {effective.settings.origin(option) or OWN}"


def _paths(folder: Path, value: str) -> Iterator[Path]:
    """The files that *value* names; a relative path counts from the *folder* in which Ansible works."""
    for part in value.split(","):
        name = part.strip()
        if name and name not in ASKED and "{{" not in name and not name.startswith("$"):
            yield folder / os.path.expanduser(name)  # noqa: PTH111 - without an error for an unknown user


def _missing(path: Path, why: str, needed_for: Literal["plan", "hosts"]) -> MissingCredential | None:
    """The credential in the file *path*; None if this process can read it, or run it."""
    problem = _problem(path)
    if problem is None:
        return None
    place = os.path.realpath(path)  # of a pushed definition: in the folder of this machine
    what = f"{Path(place).name} {problem}"
    remedy = f"copy it to {place}, readable by the user of the worker"
    return MissingCredential(what=what, place=place, why=why, remedy=remedy, needed_for=needed_for)


def _problem(path: Path) -> str | None:
    if path.is_file() and os.access(path, os.X_OK):
        return None  # a program that prints the password
    try:
        path.open("rb").close()
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return None
