"""The settings of Ansible in a plan, as the operator reads them."""

from orchestrator.cli.configuration import configuration_lines
from orchestrator.domain.configuration import Configuration, FolderSettings, Setting


def test_each_setting_is_shown_once_with_its_origin() -> None:
    """A setting of plays and host inspections is one line; a working folder and control characters do not mislead."""
    port = Setting(name="defaults.remote_port", value="2222", origin="the project's ansible.cfg")
    roles = Setting(name="defaults.roles_path", value="a\n\x1b[31mb", origin="the package's ansible.cfg")
    vault = Setting(name="defaults.vault_password_file", value="pass", origin="the project's ansible.cfg")
    shown = Configuration(
        versions={"ansible-core": "2.19.14"},
        plays=(FolderSettings(folder=".", settings=(port,)), FolderSettings(folder="ansible", settings=(roles,))),
        hosts=(port, vault),
        environment=("TOKEN",),
    )
    assert list(configuration_lines(shown)) == [
        "ansible-core 2.19.14, 3 settings",
        "defaults.remote_port = 2222 (the project's ansible.cfg)",
        "ansible: defaults.roles_path = a b (the package's ansible.cfg)",
        "host inspections: defaults.vault_password_file = pass (the project's ansible.cfg)",
        "declared variables: TOKEN",
    ]


def test_plugins_of_pytest_are_counted() -> None:
    """The line of versions names Ansible, Python, pytest and testinfra, and counts the other plugins of pytest."""
    known = {"ansible-core": "2.19.14", "python": "3.11.7", "pytest": "9.0.1", "pytest-testinfra": "10.2.2"}
    one = Configuration(versions={**known, "anyio": "4.11.0"})
    two = Configuration(versions={**known, "anyio": "4.11.0", "pytest-xdist": "3.8.0"})
    named = "ansible-core 2.19.14, python 3.11.7, pytest 9.0.1, pytest-testinfra 10.2.2"
    assert list(configuration_lines(one)) == [f"{named}, 1 other pytest plugin (listed by --json), 0 settings"]
    assert list(configuration_lines(two)) == [f"{named}, 2 other pytest plugins (listed by --json), 0 settings"]
    assert list(configuration_lines(Configuration(versions=known))) == [f"{named}, 0 settings"]
