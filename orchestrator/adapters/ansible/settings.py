"""One `ansible.cfg` out of three sources: the sealed file, the project's current file, and `environment.yaml`.

Code settings come from the sealed file, transport settings from the two others; see `domain/configuration.py` for the
lists. Relative paths keep the meaning that they have by hand: they are relative to the folder of their own file.
"""

import configparser
import contextlib
import hashlib
import io
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.adapters.connection_files import named_paths
from orchestrator.domain.configuration import CONFIG_FILE, TRANSPORT, TRANSPORT_SECTIONS, Setting, is_transport
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.errors import OrchestratorError

SEALED, CURRENT, OWN = "the package's ansible.cfg", "the project's ansible.cfg", "environment.yaml"
Types = Mapping[tuple[str, str], str]
"""The types of Ansible's settings by section and key, as `ansible-config list` gives them."""

_SECRET = re.compile(r"token|passw|passphrase|secret|credential|_pass$", re.IGNORECASE)
_NOT_SECRET = re.compile(r"_file$|^ask_|_ask_|identity|_path$", re.IGNORECASE)
_FILE_CACHES = ("jsonfile", "yaml", "pickle")
_FILE_WORDS = ("-F", "-i", "-E", "-S", "-I")
_FILE_OPTION = re.compile(r"^(-o)?\w*File=", re.IGNORECASE)
_PER_INSPECTION = (
    "log_path", "fact_caching", "fact_caching_connection", "callbacks_enabled", "strategy", "inventory",
    "any_errors_fatal", "force_handlers", "run", "skip",
)  # fmt: skip
"""The code settings that host inspections do without: they run no code of the project but its inventory."""


@dataclass(frozen=True)
class Source:
    """One `ansible.cfg`: its folder, what a plan calls it, and the folder to which its paths are relative."""

    folder: Path
    origin: str
    base: Path | None = None


class EffectiveSettings:
    """The settings that apply in one folder, and the text of one `ansible.cfg` that has them all."""

    def __init__(self, types: Types) -> None:
        self._parser = _parser()
        self._types = types
        self._origins: dict[tuple[str, str], str] = {}
        self._shown: dict[tuple[str, str], str] = {}
        self.unused: list[str] = []

    def take(self, source: Source, *, transport: bool) -> None:
        """Take the transport settings of *source*, or its code settings. Raises D150."""
        for section, key, value in _options(source):
            if is_transport(section, key) is transport:
                self._set(section, key, value, source)

    def own(self, settings: AnsibleSettings, project: Path | None) -> None:
        """Take what `environment.yaml` sets; its paths are relative to the *project*."""
        source = Source(project or Path("/"), OWN)
        for name, value in settings.transport.items():
            for section in ("defaults", *TRANSPORT_SECTIONS):
                self._drop(section, name)
            section, key = TRANSPORT[name]
            self._set(section, key, str(value), source)
        if not settings.host_key_checking:
            self._drop("ssh_connection", "host_key_checking")
            self._set("defaults", "host_key_checking", "False", source)
        if settings.vault_ids:
            option = ("defaults", "vault_identity_list")
            known, shown = self.get(option), self._shown.get(option, "")
            more = ", ".join(absolute_vault(name, source.folder) for name in settings.vault_ids)
            self._set(*option, ", ".join(filter(None, (known, more))), source)
            self._shown[option] = ", ".join(filter(None, (shown if known else "", *settings.vault_ids)))
        for name, chosen in (("forks", settings.forks), ("strategy", settings.strategy)):
            if chosen is not None:
                self._set("defaults", name, str(chosen), source)

    def leave_out(self, source: Source) -> None:
        """Note the transport settings of the sealed *source* that do not apply."""
        for section, key, value in _options(source):
            if is_transport(section, key) and self._shown.get((section, key)) != value:
                self.unused.append(key)

    def without_code(self) -> None:
        """Leave out what host inspections do without."""
        for section in ("defaults", "tags"):
            for key in _PER_INSPECTION:
                self._drop(section, key)

    def get(self, *options: tuple[str, str]) -> str | None:
        """The first of *options* (section and key) that is set; None if none is."""
        for section, key in options:
            if self._parser.has_option(section, key):
                return self._parser.get(section, key)
        return None

    def origin(self, option: tuple[str, str]) -> str:
        """What a plan calls the file from which *option* is; empty if it is not set."""
        return self._origins.get(option, "")

    def named_files(self) -> Iterator[Path]:
        """The files and folders that settings of the operator name; a setting of a package names none."""
        for section, key in self._origins:
            if self._origins[section, key] != SEALED:
                for word in named_paths(self._parser.get(section, key)):
                    path = Path(word.rpartition("@")[2])
                    with contextlib.suppress(RuntimeError):  # the home folder of an unknown user
                        path = path.expanduser()
                    if path.is_absolute() and len(path.parts) > 2 and path.exists():
                        yield path

    def about_reaching(self) -> bool:
        """Whether a setting defines how hosts are reached, apart from privileges and vaults."""
        others = ("become", "vault", "ask_vault")
        return any(
            is_transport(section, key) and not key.startswith(others) and section != "privilege_escalation"
            for section, key in self._origins
        )

    @property
    def text(self) -> str:
        """The settings as the text of an `ansible.cfg`."""
        out = io.StringIO()
        self._parser.write(out)
        return out.getvalue()

    def listed(self) -> tuple[Setting, ...]:
        """Every setting with its origin, as its file has it; values that may be passwords as digests."""
        return tuple(
            Setting(name=f"{section}.{key}", value=_masked(key, self._shown[section, key]), origin=origin)
            for (section, key), origin in sorted(self._origins.items())
        )

    def _set(self, section: str, key: str, value: str, source: Source) -> None:
        if section != configparser.DEFAULTSECT and not self._parser.has_section(section):
            self._parser.add_section(section)
        self._parser.set(section, key, self._absolute(section, key, value, source.base or source.folder))
        self._origins[section, key], self._shown[section, key] = source.origin, value

    def _drop(self, section: str, key: str) -> None:
        if self._parser.has_option(section, key):
            self._parser.remove_option(section, key)
            self._origins.pop((section, key), None)

    def _absolute(self, section: str, key: str, value: str, folder: Path) -> str:
        """*value* with relative paths in it made absolute: the effective file lies in another folder."""
        kind = self._types.get((section, key), "")
        if key == "vault_identity_list":
            return ", ".join(absolute_vault(part.strip(), folder) for part in value.split(",") if part.strip())
        if key == "fact_caching_connection":
            plugin = (self.get(("defaults", "fact_caching")) or "").rpartition(".")[2]
            kind = "path" if plugin in _FILE_CACHES else ""
        if key.endswith("_args") and section == "ssh_connection":
            return _ssh_words(value, folder)
        if kind in {"pathspec", "pathlist"}:
            mark = ":" if kind == "pathspec" else ","
            return mark.join(_path(part.strip(), folder) for part in value.split(mark) if part.strip())
        return _path(value, folder) if value and kind in {"path", "tmppath", "tmp"} else value


def absolute_vault(vault: str, folder: Path) -> str:
    """A vault id (`path` or `label@path`) with the path of a file in *folder* made absolute."""
    label, mark, path = vault.rpartition("@")
    if not path or Path(path).expanduser().is_absolute() or not (folder / path).exists():
        return vault
    return f"{label}{mark}{folder / path}"


def passwords(source: Source) -> Iterator[Path]:
    """The files with passwords and keys that *source* names."""
    for _, key, value in _options(source):
        if key in {"vault_password_file", "vault_identity_list", "private_key_file"}:
            for part in value.split(","):
                yield source.folder / Path(part.strip().rpartition("@")[2]).expanduser()


def _options(source: Source) -> list[tuple[str, str, str]]:
    """Section, key and value of every setting in *source*, with `fact_caching` first. Raises D150."""
    path, parser = source.folder / CONFIG_FILE, _parser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=CONFIG_FILE)
    except FileNotFoundError:
        return []
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise OrchestratorError("D150", f"{path} cannot be read: {reason}") from error
    found = [(section, key, parser.get(section, key)) for section in parser.sections() for key in parser[section]]
    return sorted(found, key=lambda item: item[1] != "fact_caching")


def _parser() -> configparser.RawConfigParser:
    """A parser that reads as Ansible does."""
    return configparser.RawConfigParser(inline_comment_prefixes=(";",))


def _path(text: str, folder: Path) -> str:
    if text.startswith(("/", "~", "$", "{{")):
        return text
    return os.path.normpath(folder / text)


def _ssh_words(value: str, folder: Path) -> str:
    """Arguments of ssh, with the relative paths of files that exist in *folder* made absolute."""
    try:
        words = shlex.split(value)
    except ValueError:
        return value
    found, changed = [], False
    for number, word in enumerate(words):
        option = _FILE_OPTION.match(word)
        head = option[0] if option else word[:2] if word[:2] in _FILE_WORDS else ""
        if not head and number and words[number - 1] in _FILE_WORDS:
            found.append(_existing(word, folder))
        else:
            found.append(head + _existing(word[len(head) :], folder) if head and word != head else word)
        changed = changed or found[-1] != word
    return shlex.join(found) if changed else value


def _existing(path: str, folder: Path) -> str:
    relative = path and not path.startswith(("/", "~", "%", "$"))
    return str(folder / path) if relative and (folder / path).is_file() else path


def _masked(key: str, value: str) -> str:
    if not _SECRET.search(key) or _NOT_SECRET.search(key):
        return value
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"
