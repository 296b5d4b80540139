"""The versions of what runs suites: pytest, testinfra, and every plugin that pytest loads automatically."""

import platform
from functools import cache
from importlib import metadata

ALWAYS = ("pytest", "pytest-testinfra")
GROUP = "pytest11"


@cache
def python_versions() -> dict[str, str]:
    """The versions of Python, pytest, testinfra and pytest's plugins in our Python environment, by distribution.

    They decide which tests run and how: a plan has them, and its digest covers them.
    """
    loading = {entry.dist.name for entry in metadata.entry_points(group=GROUP) if entry.dist is not None}
    found = {"python": platform.python_version()}
    for name in sorted({*ALWAYS, *loading}):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
