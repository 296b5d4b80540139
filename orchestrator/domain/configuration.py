"""The settings that Ansible runs with: which file each comes from, and what a plan shows of them.

There are two lists. *Transport settings* define how hosts are reached and which passwords are used. They belong to the
operator: `environment.yaml` first, then the project's current `ansible.cfg`. All other settings are *code settings*.
They belong to the release: they come from the `ansible.cfg` that is sealed in its package.
"""

import posixpath
from collections.abc import Callable, Collection, Iterable
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field, StringConstraints

from orchestrator.domain.model import DIGEST, Digest, Model

KeyedDigest = Annotated[str, StringConstraints(pattern=r"^hmac-sha256:[0-9a-f]{64}$")]
"""A digest made with the project key: the value behind it cannot be guessed without the key."""

CONFIG_FILE = "ansible.cfg"
VAULTS = "defaults.vault_identity_list"
"""The name of the setting with vault ids."""
TRANSPORT = {
    "remote_user": ("defaults", "remote_user"),
    "remote_port": ("defaults", "remote_port"),
    "private_key_file": ("defaults", "private_key_file"),
    "host_key_checking": ("defaults", "host_key_checking"),
    "timeout": ("defaults", "timeout"),
    "transport": ("defaults", "transport"),
    "ask_pass": ("defaults", "ask_pass"),
    "connection_password_file": ("defaults", "connection_password_file"),
    "become_password_file": ("defaults", "become_password_file"),
    "vault_password_file": ("defaults", "vault_password_file"),
    "vault_identity_list": ("defaults", "vault_identity_list"),
    "vault_identity": ("defaults", "vault_identity"),
    "vault_id_match": ("defaults", "vault_id_match"),
    "vault_encrypt_identity": ("defaults", "vault_encrypt_identity"),
    "ask_vault_pass": ("defaults", "ask_vault_pass"),
    "pipelining": ("defaults", "pipelining"),
    "become": ("privilege_escalation", "become"),
    "become_method": ("privilege_escalation", "become_method"),
    "become_user": ("privilege_escalation", "become_user"),
    "become_exe": ("privilege_escalation", "become_exe"),
    "become_flags": ("privilege_escalation", "become_flags"),
    "become_ask_pass": ("privilege_escalation", "become_ask_pass"),
    "become_allow_same_user": ("privilege_escalation", "become_allow_same_user"),
    "ssh_args": ("ssh_connection", "ssh_args"),
    "ssh_common_args": ("ssh_connection", "ssh_common_args"),
    "ssh_extra_args": ("ssh_connection", "ssh_extra_args"),
    "sftp_extra_args": ("ssh_connection", "sftp_extra_args"),
    "scp_extra_args": ("ssh_connection", "scp_extra_args"),
    "ssh_executable": ("ssh_connection", "ssh_executable"),
    "sftp_executable": ("ssh_connection", "sftp_executable"),
    "scp_executable": ("ssh_connection", "scp_executable"),
    "control_path": ("ssh_connection", "control_path"),
    "control_path_dir": ("ssh_connection", "control_path_dir"),
    "retries": ("ssh_connection", "retries"),
    "transfer_method": ("ssh_connection", "transfer_method"),
    "usetty": ("ssh_connection", "usetty"),
}
"""The transport settings that `ansible.transport` of `environment.yaml` may set: name → section and key."""

TRANSPORT_SECTIONS = (
    "ssh_connection", "connection", "persistent_connection", "paramiko_connection", "paramiko", "libssh_connection",
    "netconf_connection", "winrm", "psrp", "privilege_escalation", "sudo_become_plugin", "su_become_plugin",
    "doas_become_plugin", "runas_become_plugin", "pbrun_become_plugin", "dzdo_become_plugin", "ksu_become_plugin",
    "machinectl_become_plugin", "pfexec_become_plugin", "pmrun_become_plugin", "sesu_become_plugin",
)  # fmt: skip
"""The sections of `ansible.cfg` whose settings are all transport settings."""

CODE = (
    "action_plugins", "any_errors_fatal", "become_plugins", "cache_plugins", "callback_plugins", "callbacks_enabled",
    "cliconf_plugins", "collections_path", "connection_plugins", "display_skipped_hosts", "error_on_missing_handler",
    "error_on_undefined_vars", "executable", "fact_caching", "fact_caching_connection", "fact_caching_prefix",
    "fact_caching_timeout", "filter_plugins", "force_handlers", "forks", "gathering", "hash_behaviour",
    "inject_facts_as_vars", "interpreter_python", "inventory_plugins", "jinja2_extensions", "jinja2_native", "library",
    "log_path", "lookup_plugins", "module_utils", "playbook_dir", "playbook_vars_root", "precedence", "remote_tmp",
    "roles_path", "run", "skip", "strategy", "strategy_plugins", "task_timeout", "test_plugins", "vars_plugins",
    "vars_plugins_enabled",
)  # fmt: skip
"""The code settings that change which code or tasks run, by their keys. What is in neither list is one of them too."""

NOT_PASSED = "and is not passed on"
TOO_COMMON = "S180"
ORDINARY = f"({TOO_COMMON})"
"""How a note ends about secrets that are not masked wherever they occur."""


def is_transport(section: str, key: str) -> bool:
    """Whether a setting of `ansible.cfg` belongs to the operator."""
    return section in TRANSPORT_SECTIONS or (section == "defaults" and TRANSPORT.get(key, ("",))[0] == "defaults")


def working_folder(playbook: str, files: Collection[str]) -> str:
    """The folder that Ansible works in for *playbook*: the nearest one at or above it that has an `ansible.cfg`.

    Empty for the tree itself, also where no folder has that file.

    Args:
        playbook: the path of the playbook, with slashes, relative to the tree.
        files: the paths of the tree's files.
    """
    folder = posixpath.normpath(posixpath.dirname(playbook) or ".")
    folder = "" if folder == "." else folder
    while folder:
        if f"{folder}/{CONFIG_FILE}" in files:
            return folder
        folder = posixpath.dirname(folder)
    return ""


class Setting(Model):
    """One setting that is not left at Ansible's default: `section.key`, its value, and where it comes from.

    The value of a setting that may be a password is replaced by a keyed digest in a plan.
    """

    name: str
    value: str
    origin: str


class FolderSettings(Model):
    """The settings for the playbooks whose working folder is *folder* (`.`: the tree itself)."""

    folder: str
    settings: tuple[Setting, ...] = ()


class Configuration(Model):
    """The configuration of a run, as its plan records it.

    Attributes:
        versions: the installed versions of Ansible, Python, pytest and its plugins, by distribution.
        plays: the settings of plays, by their working folder.
        hosts: the settings of host inspections, and of Ansible where it reads inventories.
        environment: the names of the variables that `environment.yaml` passes on and that are set.
        values: the keyed digest of the values of these variables.
        key: the identifier of the project key of keyed digests. None if the configuration has none, or plain ones, as
            in plans of an older version.
    """

    versions: dict[str, str] = Field(default_factory=dict)
    plays: tuple[FolderSettings, ...] = ()
    hosts: tuple[Setting, ...] = ()
    environment: tuple[str, ...] = ()
    values: Digest | KeyedDigest | None = None
    key: str | None = Field(default=None, exclude_if=lambda key: key is None)

    @property
    def has_digests(self) -> bool:
        """Whether it has digests of values that may be secret."""
        settings = [*self.hosts, *(setting for folder in self.plays for setting in folder.settings)]
        return self.values is not None or any(DIGEST.match(setting.value) for setting in settings)

    def keyed(self, key: str, digest: Callable[[str], str]) -> "Configuration":
        """This configuration with the *digest* of each digest of values that may be secret, made with *key*."""

        def each(settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
            return tuple(
                item.model_copy(update={"value": digest(item.value)}) if DIGEST.match(item.value) else item
                for item in settings
            )

        plays = tuple(item.model_copy(update={"settings": each(item.settings)}) for item in self.plays)
        values = None if self.values is None else digest(self.values)
        return self.model_copy(update={"plays": plays, "hosts": each(self.hosts), "values": values, "key": key})

    def in_form_of(self, earlier: "Configuration | None") -> "Configuration":
        """This configuration with vault ids as *earlier* has them, if that differs only in the folder of the files.

        Plans of earlier versions have the absolute paths of the machine that made them, and their digests cover these.
        """
        if earlier is None:
            return self
        known = {folder.folder: folder.settings for folder in earlier.plays}
        plays = tuple(
            item.model_copy(update={"settings": _in_form_of(item.settings, known.get(item.folder, ()))})
            for item in self.plays
        )
        return self.model_copy(update={"plays": plays, "hosts": _in_form_of(self.hosts, earlier.hosts)})


def _in_form_of(settings: tuple[Setting, ...], earlier: Iterable[Setting]) -> tuple[Setting, ...]:
    known = {item.name: item for item in earlier}
    return tuple(
        known[item.name]
        if item.name == VAULTS and item.name in known and _are_earlier_vaults(known[item.name].value, item.value)
        else item
        for item in settings
    )


def _are_earlier_vaults(earlier: str, current: str) -> bool:
    """Whether *earlier* are the *current* vault ids, with absolute paths of files."""
    pairs = [[part.strip().rpartition("@") for part in text.split(",")] for text in (earlier, current)]
    if len(pairs[0]) != len(pairs[1]):
        return False
    return all(
        (old[0], old[2]) == (new[0], new[2]) or (old[0] == new[0] and is_same_file(old[2], new[2]))
        for old, new in zip(*pairs, strict=True)
    )


def is_same_file(absolute: str, relative: str) -> bool:
    """Whether *absolute* is the path of the file *relative* in some folder, as earlier versions wrote it."""
    found, wanted = PurePosixPath(absolute), PurePosixPath(relative).parts
    return found.is_absolute() and bool(wanted) and found.parts[-len(wanted) :] == wanted


def decides_nothing(note: str) -> bool:
    """Whether a plan's *note* is about what the controller has and Ansible does not get, or about what is masked."""
    return note.endswith((NOT_PASSED, ORDINARY))
