"""Which settings file of pytest a suite has: what pytest finds by hand, and never a file outside the package."""

import configparser
import os
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ALWAYS = ("pytest.ini", ".pytest.ini")
TOML = ("pytest.toml", ".pytest.toml")  # since pytest 9
SECTIONS = (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"))
OWN_FILE = ("-c", "--config-file")


@dataclass(frozen=True)
class SuiteRoot:
    """Pytest's root folder, and its settings file (None: the package has none for this suite)."""

    folder: Path
    settings: Path | None

    def words(self, content: Path, empty: Path, cache: Path, args: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The options that make pytest take this root, and search nothing above *content*.

        Args:
            content: the content of the package.
            empty: an empty settings file, for a package without one.
            cache: a folder for pytest's cache, where the settings name one of their own.
            args: the arguments of the suite; a settings file that they name counts.
        """
        if any(word == own or word.startswith(f"{own}=") for word in args for own in OWN_FILE):
            return ()
        if self.settings is None:
            return ("-c", str(empty), f"--rootdir={self.folder}", f"--confcutdir={content}")
        named = "cache_dir" in self.settings.read_text("utf-8", errors="replace")
        return ("-c", str(self.settings), *(("-o", f"cache_dir={cache}") if named else ()))


def suite_root(content: Path, tests: str) -> SuiteRoot:
    """The root of the suite *tests* as pytest started in *content* finds it, when nothing lies above *content*."""
    start = content / tests.partition("::")[0]
    above = list(_upwards(start if start.is_dir() else start.parent, content))
    for folder in above:
        found = _settings_in(folder)
        if found is not None:
            return SuiteRoot(folder, found)
    project = next((folder / "pyproject.toml" for folder in above if (folder / "pyproject.toml").is_file()), None)
    if project is not None:  # it counts for the root even without settings of pytest
        return SuiteRoot(project.parent, project)
    return SuiteRoot(next((folder for folder in above if (folder / "setup.py").is_file()), content), None)


def options(settings: Path) -> list[str]:
    """The words of `addopts` in a settings file of pytest; none where it cannot be read."""
    try:
        text = settings.read_text("utf-8")
        if settings.suffix == ".toml":
            document = tomllib.loads(text)
            table = document.get("tool", {}).get("pytest", {}) if settings.name == "pyproject.toml" else document
            found = [
                place.get("addopts", "") for place in (table, table.get("ini_options", {}), table.get("pytest", {}))
            ]
            return [word for given in found for word in (given if isinstance(given, list) else shlex.split(given))]
        config = configparser.RawConfigParser(strict=False, allow_no_value=True)
        config.read_string(text)
        sections = ("pytest", "tool:pytest")
        return [word for name in sections for word in shlex.split(config.get(name, "addopts", fallback="") or "")]
    except (OSError, ValueError, AttributeError, configparser.Error):
        return []


def _upwards(folder: Path, content: Path) -> Iterator[Path]:
    """*folder* and the folders above it, up to *content*."""
    folder = Path(os.path.normpath(folder))
    while folder != content and content in folder.parents:
        yield folder
        folder = folder.parent
    yield content


def _settings_in(folder: Path) -> Path | None:
    """The file in *folder* that pytest takes its settings from, in pytest's own order."""
    names = (*(TOML if int(metadata.version("pytest").partition(".")[0]) >= 9 else ()), *ALWAYS)
    certain: Path | None = next((folder / name for name in names if (folder / name).is_file()), None)
    if certain is not None:
        return certain
    if "pytest" in _tools(folder / "pyproject.toml"):
        return folder / "pyproject.toml"
    return next((folder / name for name, section in SECTIONS if _has_section(folder / name, section)), None)


def _tools(file: Path) -> dict[str, object]:
    """The table `tool` of *file*. A file that cannot be read counts as settings: pytest names its fault."""
    try:
        tools = tomllib.loads(file.read_text("utf-8")).get("tool", {})
    except OSError:
        return {}
    except ValueError:
        return {"pytest": {}}
    return tools if isinstance(tools, dict) else {}


def _has_section(file: Path, section: str) -> bool:
    """Whether *file* has *section*."""
    config = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        config.read_string(file.read_text("utf-8"))
    except OSError:
        return False
    except (ValueError, configparser.Error):
        return True
    return config.has_section(section)
