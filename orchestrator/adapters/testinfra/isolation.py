"""Reasons to refuse a suite: pytest would run no test, or use settings or tests from outside the package."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

RUN_NOTHING = {
    "collectonly": "--collect-only",
    "setupplan": "--setup-plan",
    "setuponly": "--setup-only",
    "showfixtures": "--fixtures",
    "show_fixtures_per_test": "--fixtures-per-test",
    "markers": "--markers",
    "cacheshow": "--cache-show",
    "help": "--help",
    "version": "--version",
}


def refused(config: pytest.Config, content: Path, job: Path, *, collect: bool) -> str:
    """The reason for which pytest must not start with *config*; empty when it may.

    Args:
        config: pytest's configuration, complete.
        content: the content of the package.
        job: the folder of the job, which contains its settings file and cache, unless they are beside the content.
        collect: tests are only to be collected.
    """
    allowed = {"collectonly"} if collect else set()
    idle = [word for name, word in RUN_NOTHING.items() if name not in allowed and config.getoption(name, None)]
    if idle:
        return f"pytest runs no test with {', '.join(idle)} (in args or in addopts)"
    beside = (job, content.parent)
    outside = [
        f"{what} {path}"
        for what, path in _paths(config)
        if not (_within(path, content) or any(_within(path, folder, direct=True) for folder in beside))
    ]
    return f"pytest would use what lies outside the package: {', '.join(outside)}" if outside else ""


def foreign(session: pytest.Session, content: Path) -> str:
    """The reason for which the collected tests must not run: one comes from outside; empty when there is none."""
    for path in (*_conftests(session.config), *(item.path for item in session.items)):
        if not _within(path, content) and not _installed(path):
            return f"{path} lies outside the package"
    return ""


def _paths(config: pytest.Config) -> Iterator[tuple[str, Path]]:
    """The places that *config* names, each with what names it."""
    yield "the root folder", config.rootpath
    if config.inipath is not None:
        yield "the settings file", config.inipath
    if config.getoption("confcutdir", None):
        yield "--confcutdir", Path(config.invocation_params.dir, config.getoption("confcutdir"))
    for path in config.getini("pythonpath") or ():
        yield "pythonpath", Path(path)
    if config.pluginmanager.has_plugin("cacheprovider"):
        named = os.path.expandvars(str(config.getini("cache_dir")))
        yield "cache_dir", config.rootpath / Path(named).expanduser()
    for path in _conftests(config):
        yield "conftest", path
    for argument in config.args if not config.getoption("pyargs", None) else ():
        place = Path(config.invocation_params.dir, argument.partition("::")[0])
        if not _installed(place):  # an isolated process does not find it, and would only report that
            yield "the tests", place


def _installed(path: Path) -> bool:
    """Whether *path* belongs to the Python environment."""
    return any(_within(path, Path(prefix)) for prefix in (sys.prefix, sys.base_prefix))


def _conftests(config: pytest.Config) -> Iterator[Path]:
    """The `conftest.py` files that are loaded."""
    for plugin in config.pluginmanager.get_plugins():
        file = getattr(plugin, "__file__", None)
        if file is not None and Path(file).name == "conftest.py":
            yield Path(file)


def _within(path: Path, folder: Path, *, direct: bool = False) -> bool:
    """Whether *path* is *folder* or lies below it (*direct*: right in it)."""
    real, top = Path(path).resolve(), folder.resolve()
    return real.parent == top if direct else real == top or top in real.parents
