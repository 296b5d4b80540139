"""The settings of Ansible in a plan, as the operator reads them."""

from collections.abc import Iterator

from orchestrator.domain.configuration import Configuration, Setting
from orchestrator.domain.text import clean_text, counted

LONGEST = 200  # characters of a value
NAMED = ("ansible-core", "ansible", "python", "pytest", "pytest-testinfra")
"""The distributions whose versions are printed by name."""


def configuration_lines(configuration: Configuration) -> Iterator[str]:
    """The versions and the number of settings in the first line, then each setting once, with its origin.

    The plugins of pytest are counted: a Python environment may have dozens. The plan's document has each version.
    """
    of_plays = [(folder.folder, setting) for folder in configuration.plays for setting in folder.settings]
    known = {setting for _, setting in of_plays}
    of_hosts = [setting for setting in configuration.hosts if setting not in known]
    named = [f"{name} {version}" for name, version in configuration.versions.items() if name in NAMED]
    plugins = len(configuration.versions) - len(named)
    more = [f"{counted(plugins, 'other pytest plugin')} (listed by --json)"] if plugins else []
    yield ", ".join([*named, *more, counted(len(of_plays) + len(of_hosts), "setting")])
    for folder, setting in of_plays:
        yield _line(setting, "" if folder == "." else f"{folder}: ")
    for setting in of_hosts:
        yield _line(setting, "host inspections: ")
    if configuration.environment:
        yield f"declared variables: {', '.join(configuration.environment)}"


def _line(setting: Setting, where: str) -> str:
    value = clean_text(" ".join(setting.value.split()), LONGEST)
    return f"{where}{setting.name} = {value} ({setting.origin})"
