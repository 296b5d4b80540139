"""The secrets that a play is given, learnt from their sources before its job starts.

They are secret outputs, values that vaults encrypt in the package and beside the inventory, the passwords of these
vaults, and the content of controller files that the environment marks as secret.
"""

from collections.abc import Iterator
from pathlib import Path

from orchestrator.adapters.ansible.configuration import Configurations, Effective
from orchestrator.adapters.ansible.vaulted import LARGEST, VaultedValues, VaultPassword, files_below, named_passwords
from orchestrator.adapters.secret_files import is_below_any
from orchestrator.domain.context import Context
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.release import Package
from orchestrator.domain.secret import Secret, is_secret_variable, secrets_of
from orchestrator.secret_values import SecretValues
from orchestrator.trees import LONGEST, entries

SALT = b" salt="
"""What `lookup('password')` writes behind a password."""
PASSWORDS = ("become_pass", "become_password", "password", "sudo_pass")
"""Settings of `ansible.cfg` whose values are passwords."""


class KnownSecrets:
    """Reports to *secrets* what plays are given."""

    def __init__(self, configurations: Configurations, secrets: SecretValues) -> None:
        self._configurations, self._secrets = configurations, secrets
        self._vaults = VaultedValues()
        self._packages: set[tuple[str, tuple[VaultPassword, ...]]] = set()

    def of_inventory(self, files: tuple[str, ...], settings: AnsibleSettings) -> None:
        """Learn the encrypted values of the inventory *files* and of the variables beside them. Raises D150."""
        if files:
            self._learn_inventory(files, self._configurations.of_hosts(files, settings))

    def of_hosts(self, inventory: Inventory) -> None:
        """Learn the variables of hosts that are secret by their names, such as `ansible_password`."""
        listed = (inventory.listing or {}).get("_meta", {}).get("hostvars", {})
        variables = [*inventory.hosts.values(), *listed.values()]
        named = [(name, value) for known in variables for name, value in known.items() if is_secret_variable(name)]
        plain = [(name, value) for name, value in named if isinstance(value, (str, int)) and "{{" not in str(value)]
        self._secrets.learn("variables of hosts", [Secret(name, str(value).encode()) for name, value in plain])

    def of_play(self, package: Package | None, files: tuple[str, ...], effective: Effective) -> None:
        """Learn the encrypted values of *package* and of the inventory *files*."""
        self._learn_inventory(files, effective)
        passwords = _passwords(effective)
        if package is None or package.root is None or not passwords:
            return
        about = (package.digest, tuple(passwords))
        if about not in self._packages:
            found = self._vaults.secrets(files_below([Path(package.root)]), passwords, self._environ)
            self._secrets.learn(f"vaults of {package.ref}", found)
            self._packages.add(about)

    def of_context(self, context: Context, copy: Path | None) -> bool:
        """Learn the secret outputs and the secret controller files in *copy*; whether any was new."""
        before = self._secrets.redactor
        self._secrets.learn(f"outputs of {context.environment}", secrets_of("", dict(context.outputs.secret)))
        if copy is not None and context.secret_files:
            below = (each.name for each in entries(copy) if each.is_file and each.length <= LONGEST)
            files = (copy / name for name in below if is_below_any(context.secret_files, name))
            found = [secret for file in files for secret in _content(file)]
            self._secrets.learn(f"controller files of {context.environment}", found)
        return self._secrets.redactor is not before

    def _learn_inventory(self, files: tuple[str, ...], effective: Effective) -> None:
        found = [
            Secret(key, value.encode())
            for section in ("defaults", "privilege_escalation", "ssh_connection", "connection")
            for key in PASSWORDS
            if (value := effective.settings.get((section, key)))
        ]
        self._secrets.learn("ansible.cfg", found)
        passwords = _passwords(effective)
        if passwords:
            places = files_below(map(Path, files))
            self._secrets.learn("vaults of the inventory", self._vaults.secrets(places, passwords, self._environ))

    @property
    def _environ(self) -> dict[str, str]:
        return dict(self._configurations.environ)


def _passwords(effective: Effective) -> list[VaultPassword]:
    """The vault passwords that the settings name."""
    get = effective.settings.get
    return named_passwords(get(("defaults", "vault_password_file")), get(("defaults", "vault_identity_list")))


def _content(file: Path) -> Iterator[Secret]:
    """The content of a controller file; of a generated password, without its salt."""
    try:
        data = file.read_bytes() if file.stat().st_size <= LARGEST else b""
    except OSError:
        return
    yield Secret(file.name, data)
    password, salt, _ = data.partition(SALT)
    if salt:
        yield Secret(file.name, password)
