"""From outputs, mappings and files to hosts; what cannot be read is an error that says so."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.ansible.deployer import AnsibleDeployer
from orchestrator.adapters.pulumi.inventory import from_output, read_inventory
from orchestrator.domain.context import Outputs
from orchestrator.domain.environment import Environment, InventoryGroup, InventorySource
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.engine.jobs import LocalJobs

ROOT = Path(__file__).resolve().parents[2]
WORDS = st.sampled_from(["all", "web", "h1", "hosts", "children", "vars", "_meta", "hostvars"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | WORDS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inside, max_size=4),
)


def _environment(**source: Any) -> Environment:
    found = InventorySource(**source)
    return Environment(apiVersion="orchestrator/v1", kind="Environment", name="staging", inventory=found)


def _mapped(hosts: str, outputs: dict[str, Any], **variables: Any) -> Inventory:
    groups = {"web": InventoryGroup(hosts=hosts, vars=variables)}
    return read_inventory(_environment(groups=groups), Outputs(outputs), Path("/"))


@given(ANY)
def test_any_output(value: Any) -> None:
    """Whatever JSON an output holds, it gives an inventory or an error of the catalogue, and an inventory has a digest."""
    try:
        found = from_output(value, "inventory").digest
    except OrchestratorError as error:
        found = error.code
    assert found.startswith("sha256:") or found in {"E122", "E123"}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
HOSTILE = {
    "aliases of aliases": BOMB + "all: {hosts: {h1: {v: *a9}}}\n",
    "a part of itself": "all: &a {hosts: {h1: *a}}\n",
    "a list in itself": "all: {hosts: {h1: {v: &a [*a]}}}\n",
    "merges of merges": "".join(
        f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}], k{n}: 1}}\n" if n else "m0: &m0 {k: 1}\n"
        for n in range(7)
    )
    + "all: {hosts: {h1: *m6}}\n",
    "levels": "all: " + "[" * 500 + "]" * 500,
    "levels without end": "all: " + "{a: " * 50_000,
    "too long": "all: {hosts: {h1: {v: " + "x" * 2_000_000 + "}}}",
    "a number without end": "all: {hosts: {h1: {v: " + "9" * 5_000 + "}}}",
    "a date that is none": "all: {hosts: {h1: {v: 2026-99-99}}}",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_text_output_is_bounded(what: str) -> None:
    """A text output that stands for more than an inventory has is refused within a second of processor time."""
    begin = time.process_time()
    with pytest.raises(OrchestratorError) as error:
        assert from_output(HOSTILE[what], "inventory").digest
    assert error.value.code in {"E122", "E123"}
    assert time.process_time() - begin < 5


def test_an_alias_is_no_bomb() -> None:
    """A text output may use an alias, as an inventory file may."""
    found = from_output("web: {hosts: {h1: &v {port: 80}, h2: *v}}", "inventory")
    assert found.hosts == {"h1": {"port": 80}, "h2": {"port": 80}}


def test_data_of_an_output_is_bounded() -> None:
    """Data that is deeper than any inventory is refused, and no error of the interpreter."""
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(OrchestratorError) as error:
        from_output({"all": {"hosts": {"h1": {"v": value}}}}, "inventory")
    assert error.value.code == "E122"


@pytest.mark.parametrize("name", ["eu-west-1a", "2024", "tag_Name=web", "10.0.0.0/8", "web.blue"])
def test_a_group_of_an_output_is_called_as_ansible_takes_it(name: str) -> None:
    """A group may be called as clouds call their zones, tags and networks, and a step may go to it."""
    found = from_output({name: {"hosts": ["h1"]}, "other": {"hosts": ["h2"]}}, "inventory")
    assert found.select(name) == ["h1"]


def test_shapes_that_ansible_knows() -> None:
    """Lists, mappings, groups in groups, variables and `_meta` are read alike, as data and as text."""
    value = {
        "_meta": {"hostvars": {"h1": {"ansible_host": "127.0.0.1"}}},
        "all": {"children": {"web": {"hosts": ["h1", "h2"], "vars": {"port": 80}}, "db": None}, "vars": {"a": 1}},
        "db": ["h3"],
    }
    found = from_output(value, "inventory")
    assert found == from_output(json.dumps(value), "inventory")
    assert found.hosts == {"h1": {"ansible_host": "127.0.0.1"}, "h2": {}, "h3": {}}
    assert (found.members("web"), found.members("db")) == (["h1", "h2"], ["h3"])
    assert (found.groups["web"].vars, found.groups["all"].vars) == ({"port": 80}, {"a": 1})


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        ([], "E122", "is not an inventory but list"),
        ("a: [", "E122", "neither JSON nor YAML"),
        ("day: 2001-99-99", "E122", "cannot be read"),
        ({"web": {"hosts": "abc"}}, "E122", "web.hosts in 'inventory' is not a mapping but str"),
        ({"web": {"hosts": [["a"]]}}, "E122", "has list where a name should be"),
        ({"web": {"vars": [1]}}, "E122", "web.vars"),
        ({"web": {"children": 5}}, "E122", "web.children"),
        ({"web": {"host": ["a"]}}, "E122", "has 'host'"),
        ({"_meta": {"hostvars": [1]}}, "E122", "_meta.hostvars"),
        ({"web": {"hosts": {"a": [1]}}}, "E122", "what is given for a"),
        ("web: {hosts: {a: {1: 2}}}", "E122", "cannot be read"),
        ("web: {vars: {a: .nan}}", "E122", "cannot be read"),
        (f"web: {{vars: {{a: {':'.join(['59'] * 5000)}}}}}", "E122", "cannot be read"),
        ("&a {web: {children: {web: *a}}}", "E122", "cannot be read"),
        ("web: &a {children: {web: *a}}", "E122", "cannot be read"),
        ({"web": {"hosts": ["../x"]}}, "E123", "'../x'"),
        ({"web": {"hosts": ["h1\n"]}}, "E123", "h1"),
        ({"a b": {}}, "E123", "'a b'"),
    ],
)
def test_an_output_that_is_no_inventory(value: Any, code: str, said: str) -> None:
    """An output that has not the shape of an inventory is refused, and the error names the place."""
    with pytest.raises(OrchestratorError) as caught:
        from_output(value, "inventory")
    assert caught.value.code == code
    assert said in caught.value.message


def test_mapped_outputs() -> None:
    """A mapping takes names, mappings with names, and what filters give, and its variables are templates too."""
    servers = [{"name": "h1", "ansible_host": "127.0.0.1"}, {"name": "h2"}]
    found = _mapped("{{ outputs.servers }}", {"servers": servers, "port": 80}, port="{{ outputs.port }}")
    assert found.hosts == {"h1": {"ansible_host": "127.0.0.1"}, "h2": {}}
    assert found.groups["web"].vars == {"port": 80}
    assert list(_mapped("{{ outputs.servers | map(attribute='name') }}", {"servers": servers}).hosts) == ["h1", "h2"]


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1/0 }}",
        "{{ 'a'+1 }}",
        "{{ outputs.nope }}",
        "{{ [outputs.nope] }}",
        "{{ outputs.x.y.z }}",
        "{{ (",
        "{{ range }}",
    ],
)
@pytest.mark.parametrize("place", ["hosts", "vars"])
def test_a_template_that_fails(template: str, place: str) -> None:
    """A template that raises, or needs what is not there, is an error that names its group, in hosts and in variables."""
    with pytest.raises(OrchestratorError) as caught:
        _mapped(template, {}) if place == "hosts" else _mapped("h1", {}, x=template)
    assert caught.value.code == "E124"
    assert "inventory.groups.web: " in caught.value.message


def test_a_mapping_that_gives_no_hosts() -> None:
    """A mapping whose template gives something else than hosts is refused."""
    with pytest.raises(OrchestratorError) as caught:
        _mapped("{{ 5 }}", {})
    assert caught.value.code == "E122"


@pytest.mark.parametrize("source", [{}, {"output": "hosts"}])
def test_an_environment_without_infrastructure_is_not_an_error_of_its_program(
    source: dict[str, Any], tmp_path: Path
) -> None:
    """Before its first update an environment has no hosts yet, and the message says so and what creates them."""
    with pytest.raises(OrchestratorError) as caught:
        read_inventory(_environment(**source).model_copy(update={"program": "."}), Outputs({}), tmp_path)
    assert caught.value.message == f"{_environment().name} has no hosts yet: its stack has no outputs"
    assert "environment up" in str(caught.value.hint)


def test_no_inventory_and_no_file(tmp_path: Path) -> None:
    """Without any source of hosts, and with a file that is not there, the error says which it is."""
    for source, code in (({}, "E120"), ({"output": "hosts"}, "E120"), ({"files": ("hosts.yml",)}, "E121")):
        with pytest.raises(OrchestratorError) as caught:
            read_inventory(_environment(**source), Outputs({"other": 1}), tmp_path)
        assert caught.value.code == code


@pytest.mark.engines
def test_files_that_were_changed_since_they_were_read_are_noticed(tmp_path: Path) -> None:
    """An inventory is outdated when its file or a file of variables beside it was changed; its digest says whether that matters."""
    deployer = AnsibleDeployer(LocalJobs(tmp_path / "jobs"), tmp_path, ROOT / "orchestrator/ansible", os.environ)
    (folder := tmp_path / "own" / "group_vars").mkdir(parents=True)
    hosts, variables = folder.parent / "hosts.ini", folder / "web.yml"
    hosts.write_text("[web]\nh1\n")
    variables.write_text("size: 1\n")
    read = deployer.resolve(Inventory(files=(str(hosts),)))
    assert not deployer.is_outdated(read)
    hosts.write_text("# a comment\n[web]\nh1\n")
    assert deployer.is_outdated(read)
    again = deployer.resolve(Inventory(files=(str(hosts),)))
    assert (again.digest == read.digest, deployer.is_outdated(again)) == (True, False)
    variables.write_text("size: 2\n")
    assert deployer.is_outdated(again)
    assert deployer.resolve(Inventory(files=(str(hosts),))).digest != read.digest


REASON = "broken.yml; YAML parsing failed: While parsing a flow"
HOST = "Invalid host pattern 'web1:' supplied"


@pytest.mark.engines
def test_files_that_ansible_cannot_read(tmp_path: Path) -> None:
    """One broken file among the user's inventories is an error that names its reason, and so are files without any host."""
    deployer = AnsibleDeployer(LocalJobs(tmp_path / "jobs"), tmp_path, ROOT / "orchestrator/ansible", os.environ)
    good, broken, empty = (tmp_path / name for name in ("good.ini", "broken.yml", "empty.yml"))
    good.write_text("[web]\nh1\n")
    broken.write_text("all: [\n")
    empty.write_text("")
    (plain := tmp_path / "plain").write_text("[web]\nweb1:\n")
    assert list(deployer.resolve(Inventory(files=(str(good),))).hosts) == ["h1"]
    for files, code, why in (((good, broken), "D104", REASON), ((plain,), "D104", HOST), ((empty,), "E120", "")):
        with pytest.raises(OrchestratorError) as caught:
            deployer.resolve(Inventory(files=tuple(map(str, files))))
        assert caught.value.code == code
        assert "[ERROR]" not in caught.value.message
        assert why in caught.value.message
