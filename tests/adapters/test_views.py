"""The views of one project: what belongs to an environment, and what no process finds."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from orchestrator.adapters.views import Views
from orchestrator.domain.environment import AnsibleSettings, Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.isolation.isolator import NONE, Isolator
from orchestrator.isolation.mounts import visible

ISOLATOR = Isolator("bubblewrap", "/usr/bin/bwrap")


def environment(name: str, **more: object) -> Environment:
    return Environment.from_json({"apiVersion": "orchestrator/v1", "kind": "Environment", "name": name, **more})


STAGING = {"ansible": {"transport": {"private_key_file": "keys/staging.pem"}}, "isolation": {"read": ["~/.aws"]}}
PRODUCTION = {
    "ansible": {"vault_ids": ["prod@keys/production.vault"], "transport": {"private_key_file": "~/.ssh/production.pem"}}
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two environments and a home folder."""
    for name in (
        "shop/keys/staging.pem", "shop/keys/production.vault", "shop/.orchestrator/state.db", "home/.ssh/production.pem",
        "shop/.orchestrator/hosts/dev/client_key", "home/.aws/credentials", "home/.netrc", "home/.ssh/known_hosts",
        "shop/inventories/staging/hosts.ini", "shop/inventories/staging/group_vars/all.yml", "home/agent/socket",
        "shop/inventories/production/hosts.ini",
    ):  # fmt: skip
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return tmp_path


def views(project: Path, isolator: Isolator = ISOLATOR, **environ: str) -> Views:
    found = {"staging": environment("staging", **STAGING), "production": environment("production", **PRODUCTION)}
    environ = {"HOME": f"{project}/home", "PATH": "/usr/bin", **environ}
    root = project / "shop"
    return Views(root, root / ".orchestrator", environ, lambda: isolator, lambda: found)


def shown(project: Path, made: Views, settings: AnsibleSettings | None, read: Iterable[str | Path] = ()) -> set[str]:
    """The files of the project and of the home folder that a process finds."""
    view = made.of(settings, read=read)
    files = [path for path in project.rglob("*") if path.is_file()]
    return {str(path.relative_to(project)) for path in files if visible(str(path), view)}


def test_an_environment_has_its_own_credentials_only(project: Path) -> None:
    """A process of an environment finds its keys, what it declares and the known hosts; one of another finds others."""
    made = views(project)
    staging, production = environment("staging", **STAGING).settings, environment("production", **PRODUCTION).settings
    assert shown(project, made, staging) == {"shop/keys/staging.pem", "home/.aws/credentials", "home/.ssh/known_hosts"}
    assert shown(project, made, production) == {
        "shop/keys/production.vault", "home/.ssh/production.pem", "home/.ssh/known_hosts",
    }  # fmt: skip
    assert shown(project, made, None) == set()


def test_a_declared_folder_does_not_show_keys_of_others(project: Path) -> None:
    """A declared project or home folder shows no state folder, and no key that only another environment names."""
    wide = {**STAGING, "isolation": {"read": ["~/.ssh", ".", "~/.aws"]}}
    found = shown(project, views(project), environment("staging", **wide).settings)
    assert {"shop/keys/staging.pem", "home/.ssh/known_hosts", "shop/inventories/staging/hosts.ini"} <= found
    assert not {"shop/.orchestrator/state.db", "shop/keys/production.vault", "home/.ssh/production.pem"} & found


@pytest.mark.parametrize("path", [".orchestrator", ".orchestrator/state.db", "keys/production.vault", "~/link"])
def test_what_cannot_be_declared(project: Path, path: str) -> None:
    """The state folder and keys of other environments cannot be declared, also not through a link."""
    (project / "home/link").symlink_to(project / "shop/.orchestrator")
    wrong = environment("staging", **{**STAGING, "isolation": {"read": [path]}}).settings
    with pytest.raises(OrchestratorError) as refused:
        views(project).of(wrong)
    assert refused.value.code == "I103"


@pytest.mark.parametrize("path", ["/", "//", "../other", "keys/../../x", "", "a\nb"])
def test_declared_paths_are_checked_in_the_file(path: str) -> None:
    """The root of the machine and paths with `..` are refused in the file."""
    with pytest.raises(ValueError, match="isolation"):
        environment("staging", isolation={"read": [path]})


def test_the_socket_of_a_declared_variable_is_found(project: Path) -> None:
    """A declared variable that names a socket shows the socket; one that is not declared is not passed on."""
    made = views(project, SSH_AUTH_SOCK=f"{project}/home/agent/socket")
    declared = environment("staging", isolation={"environment": ["SSH_AUTH_SOCK"]}).settings
    assert "home/agent/socket" in shown(project, made, declared)
    assert "home/agent/socket" not in shown(project, made, environment("staging").settings)
    assert made.passed({"HOME", "SSH_AUTH_SOCK"}, ()) == {"HOME"}
    assert made.passed({"HOME"}, declared.environment) == {"HOME", "SSH_AUTH_SOCK"}
    assert views(project, NONE).passed({"HOME", "SSH_AUTH_SOCK"}, ()) == {"HOME", "SSH_AUTH_SOCK"}


def test_an_inventory_shows_its_files_and_the_keys_that_it_names(project: Path) -> None:
    """A process finds the files of its inventory, the variables beside them, and the keys that variables name."""
    made, own = views(project), project / "shop/inventories/staging"
    key, known = project / "shop/.orchestrator/hosts/dev/client_key", project / "home/.netrc"
    inventory = Inventory(
        hosts={"web1": {"ansible_ssh_private_key_file": str(key), "motd": str(project / "home/.aws/credentials")}},
        groups={"web": Group(hosts=("web1",), vars={"ansible_ssh_common_args": f"-o UserKnownHostsFile='{known}'"})},
        files=(str(own / "hosts.ini"),),
    )
    found = shown(project, made, environment("staging").settings, read=made.inventory(inventory))
    assert found == {
        "shop/inventories/staging/hosts.ini", "shop/inventories/staging/group_vars/all.yml", "home/.netrc",
        "shop/.orchestrator/hosts/dev/client_key", "home/.ssh/known_hosts",
    }  # fmt: skip


def test_an_inventory_cannot_name_files_of_the_state_folder(project: Path) -> None:
    """A variable of a host that names a file of the state folder, or a key of another environment, shows nothing."""
    made = views(project)
    named = [project / "shop/.orchestrator/state.db", project / "shop/keys/production.vault"]
    inventory = Inventory(hosts={f"web{n}": {"ansible_private_key_file": str(path)} for n, path in enumerate(named)})
    found = shown(project, made, environment("staging").settings, read=made.inventory(inventory))
    assert found == {"home/.ssh/known_hosts"}


def test_a_refused_access_is_explained(project: Path) -> None:
    """A failure that names a file which exists and is not shown gets the line that makes it visible."""
    made, settings = views(project), environment("staging", **STAGING).settings
    view = made.of(settings)
    text = f"[Errno 2] No such file or directory: '{project}/home/.netrc'"
    said = made.refused(text, view, settings, "environments/staging/environment.yaml")
    assert said == (
        f"{project}/home/.netrc exists and is not visible to isolated processes: add isolation: {{read: [~/.aws, ~/.netrc]}}"
        " to environments/staging/environment.yaml (I110)"
    )
    assert "belongs to the orchestrator" in made.refused(f"not found: {project}/shop/.orchestrator/state.db", view)
    assert made.refused(f"not found: {project}/home/nothing", view) == ""
    assert made.refused(f"it is fine: {project}/home/.netrc", view) == ""
    assert made.refused("/usr/bin/env: not found", view) == ""
    assert views(project, NONE).refused(text, view) == ""


def test_a_refused_write_is_explained(project: Path) -> None:
    """A failure to write to a folder that is not shown, or not to be changed, gets the line that allows it."""
    own = environment("staging", isolation={"read": ["~/.aws"], "environment": ["TOKEN"]}).settings
    made = views(project)
    view = made.of(own)
    text = f"Destination directory {project}/home/.ssh does not exist"
    line = "isolation: {read: [~/.aws], environment: [TOKEN], write: [~/.ssh]}"
    assert f"add {line} to environment.yaml" in made.refused(text, view, own)
    text = f"OSError: [Errno 30] Read-only file system: '{project}/home/.aws/new'"
    line = "isolation: {read: [~/.aws], environment: [TOKEN], write: [~/.aws]}"
    assert f"cannot write to {project}/home/.aws of the controller: add {line} to" in made.refused(text, view, own)
    declared = environment("staging", isolation={"write": ["~/.aws"]}).settings
    assert made.refused(text, made.of(declared), declared) == ""


def test_files_that_variables_of_the_environment_name_are_shown(project: Path) -> None:
    """A key in `ansible.extra_vars` is shown to its environment and to no other one; a list of known hosts to each that names it."""
    key, known = project / "shop/keys/staging.pem", project / "home/.netrc"
    variables = {"ansible_ssh_private_key_file": "keys/staging.pem", "motd": str(project / "home/.aws/credentials")}
    words = {"ansible_ssh_common_args": f"-o UserKnownHostsFile={known}"}
    own = environment("staging", ansible={"extra_vars": {**variables, **words}})
    other = environment("production", ansible={"extra_vars": words}, isolation={"read": ["keys", "~"]})
    root = project / "shop"
    isolator = lambda: ISOLATOR  # noqa: E731
    made = Views(root, root / ".orchestrator", {"HOME": f"{project}/home"}, isolator, lambda: {"a": own, "b": other})
    found = shown(project, made, own.settings)
    assert {str(key.relative_to(project)), str(known.relative_to(project))} <= found
    assert "home/.aws/credentials" not in found
    assert "shop/keys/staging.pem" not in shown(project, made, other.settings)
    assert "home/.netrc" in shown(project, made, other.settings)


def test_an_isolated_process_finds_the_copy_at_the_path_of_the_project(project: Path) -> None:
    """The copy of a package is at the path of the project where processes are isolated, else where it is."""
    copy = project / "shop/.orchestrator/jobs/one/content"
    assert views(project).seen(copy) == project / "shop"
    assert views(project, NONE).seen(copy) == copy
    assert views(project).of(copy=copy).placed == ((str(copy), str(project / "shop")),)


def test_a_host_that_accepts_no_key_is_explained(project: Path) -> None:
    """If a host accepted no key, the agent or the folder of keys that isolation does not show is named."""
    text, settings = "web1: Permission denied (publickey,password).", environment("staging").settings
    agent = views(project, SSH_AUTH_SOCK=f"{project}/home/agent/socket")
    assert "add isolation: {environment: [SSH_AUTH_SOCK]}" in agent.refused(text, agent.of(settings), settings)
    made = views(project)
    assert "add isolation: {read: [~/.ssh]}" in made.refused(text, made.of(settings), settings)
    (project / "home/.ssh/id_ed25519").write_text("")
    declared = environment("staging", isolation={"read": ["~/.ssh"]}).settings
    assert made.refused(text, made.of(declared), declared) == ""


@pytest.mark.parametrize(
    "value",
    [
        "{key}", "{home}", "keys/of web.pem", "-i '{key}' -o BatchMode=yes", "-i'{key}'", "{{{{ inventory_dir }}}}/own key",
        "-o 'UserKnownHostsFile=\"{key}\"' -o GlobalKnownHostsFile=/dev/null", "-o UserKnownHostsFile='{key}'",
        "-o IdentityFile={home}", '-o UserKnownHostsFile="{home} /etc/hosts" -o ControlMaster=no',
    ],
)  # fmt: skip
def test_keys_are_found_however_they_are_written(project: Path, value: str) -> None:
    """A key is found with a blank in its path, below the home folder, relative to the project, and in arguments of ssh."""
    key, beside = project / "shop/keys/of web.pem", project / "shop/inventories/staging/own key"
    for file in (key, beside):
        file.write_text("")
    text = value.format(key=key, home=f"{project}/home/.netrc")
    inventory = Inventory(
        hosts={"web1": {"ansible_ssh_private_key_file": text}}, files=(f"{project}/shop/inventories/staging/hosts.ini",)
    )
    found = set(views(project).inventory(inventory))
    assert found & {str(key), str(beside), f"{project}/home/.netrc"}


def test_a_script_of_an_inventory_reads_what_is_beside_it(project: Path) -> None:
    """A script finds its folder; one in the folder of the project the data and modules beside it, and no key."""
    shop = project / "shop"
    for name in (
        "hosts.py",
        "data.json",
        "lib/names.py",
        "id_ed25519",
        "production.pem",
        ".vault-password",
        "keys/x",
        "own/hosts",
        "own/data",
    ):
        (shop / name).parent.mkdir(exist_ok=True)
        (shop / name).write_text("")
        (shop / name).chmod(0o755 if name.endswith(("hosts.py", "own/hosts")) else 0o644)
    made, settings = views(project), environment("staging").settings
    top = shown(project, made, settings, read=made.inventory(Inventory(files=(str(shop / "hosts.py"),))))
    assert top - {"home/.ssh/known_hosts"} == {"shop/hosts.py", "shop/data.json", "shop/lib/names.py"}
    own = shown(project, made, settings, read=made.inventory(Inventory(files=(str(shop / "own/hosts"),))))
    assert own - {"home/.ssh/known_hosts"} == {"shop/own/hosts", "shop/own/data"}


def test_a_relative_path_of_a_failure_is_explained(project: Path) -> None:
    """A failure that names a file of the project by a relative path gets the line to add as well."""
    made, settings = views(project), environment("staging").settings
    text = "FileNotFoundError: [Errno 2] No such file or directory: 'inventories/staging/hosts.ini'"
    assert f"add isolation: {{read: [{project}/shop/inventories/staging/hosts.ini]}}" in made.refused(
        text, made.of(settings), settings
    )


def test_a_project_in_a_folder_of_the_system_is_not_shown(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project below a folder that every process may read, such as `/opt`, is shown no more than any other."""
    monkeypatch.setattr("orchestrator.isolation.system.readable", lambda: (str(project),))
    found = shown(project, views(project), environment("staging", **STAGING).settings)
    assert {name for name in found if name.startswith("shop/")} == {"shop/keys/staging.pem"}
    assert {name for name in found if name.startswith("home/")} == {"home/.aws/credentials", "home/.ssh/known_hosts"}
