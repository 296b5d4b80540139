"""Release data as variables: text that is never a template, and names that it may not have."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.context import Context
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.release import Manifest, Package, Release
from orchestrator.domain.variables import (
    RELEASE,
    Unsafe,
    base_vars,
    inventory_document,
    json_document,
    marked_unsafe,
    plain_text,
    unsafe,
)

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abc_", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_every_text_is_marked(value: Any) -> None:
    """However deep it lies, every text of a release is marked, and the values stay equal."""
    marked = unsafe(value)
    assert marked == value
    assert all(isinstance(text, Unsafe) for text in _texts(marked))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("key", ["{{ x }}", "a{% if %}", "{# x", 7])
def test_a_key_that_could_be_a_template_is_refused(key: Any) -> None:
    """Keys cannot be marked, so one that looks like a template is D110, also deep inside."""
    with pytest.raises(OrchestratorError) as error:
        marked_unsafe({"word": [{"deep": {key: 1}}]})
    assert error.value.code == "D110"


@pytest.mark.parametrize(
    "name", ["ansible_connection", "ansible_python_interpreter", "ansible_", RELEASE, "orchestrator_x"]
)
def test_names_that_change_how_ansible_works_are_refused(name: str) -> None:
    """A release sets no `ansible_*` variable, and none that the orchestrator sets itself: D111."""
    with pytest.raises(OrchestratorError) as error:
        marked_unsafe({name: "x"})
    assert error.value.code == "D111"


def test_old_names_are_only_for_old_packages() -> None:
    """A package of format 1 finds our variables under their old names as well, a newer one under the present names."""
    about: dict[str, Any] = {
        "apiVersion": "orchestrator/v1",
        "kind": "Release",
        "name": "shop",
        "version": "1.0.0",
        "environments": ("test",),
        "steps": ({"name": "deploy", "playbook": "site.yml"},),
        "verify": ({"name": "smoke", "tests": "tests"},),
    }
    release = Release(**about)
    olds: dict[Any, set[str]] = {1: {"release", "release_version", "pulumi_outputs"}, 2: set()}
    for number, old in olds.items():
        manifest = Manifest(apiVersion="orchestrator/v1", kind="Package", format=number, release=release, files=())
        package = Package(manifest=manifest, digest=manifest.digest, path="", root="/package")
        found = base_vars(package, None, Context(run="r1", environment="test"))
        assert found.keys() - {"orchestrator_release", "orchestrator_outputs"} == old


def test_the_operators_variables_win() -> None:
    """In the inventory's document the environment's own variables of `all` override what a release brings."""
    inventory = Inventory(hosts={"a": {"own": "x"}}, groups={"all": Group(vars={"word": "operator"})})
    document = inventory_document(inventory, {"word": Unsafe("release"), "other": Unsafe("{{ y }}")})
    assert document["all"]["vars"] == {"word": "operator", "other": "{{ y }}"}
    assert isinstance(document["all"]["vars"]["other"], Unsafe)
    assert not isinstance(document["all"]["hosts"]["a"]["own"], Unsafe)


CLOUD = {
    "name": "web-1",
    "tag": "{{ lookup('pipe', 'id') }}",
    "deep": [{"more": "{% if x %}", "n": 3}],
    "note": "{# x #}",
}


def test_a_template_in_an_output_is_text() -> None:
    """Tags and names of a cloud are data: in variables of hosts, of groups and of all, and nested in them."""
    groups = {"all": Group(vars=CLOUD), "web": Group(hosts=("a",), vars=CLOUD)}
    document = inventory_document(Inventory(hosts={"a": CLOUD}, groups=groups), {})["all"]
    for found in (document["hosts"]["a"], document["vars"], document["children"]["web"]["vars"]):
        assert found == CLOUD
        assert [isinstance(text, Unsafe) for text in _texts(found)] == [False, True, True, True]


def test_an_environment_may_have_templates_evaluated() -> None:
    """Its operator decides it, for outputs of a program that writes templates on purpose."""
    document = inventory_document(Inventory(hosts={"a": CLOUD}, templates=True), {})["all"]
    assert not any(isinstance(text, Unsafe) for text in _texts(document["hosts"]["a"]))
    assert Inventory().digest == Inventory(templates=False).digest != Inventory(templates=True).digest


def test_a_key_of_an_output_is_not_a_template() -> None:
    """A key cannot be marked as text, so one that looks like a template is refused by name."""
    with pytest.raises(OrchestratorError) as caught:
        inventory_document(Inventory(hosts={"a": {"tags": {"{{ x }}": "1"}}}), {})
    assert caught.value.code == "D110"


def test_marked_texts_survive_json() -> None:
    """As Ansible writes and reads them; a text that cannot be a template stays a text for every other program."""
    document = inventory_document(Inventory(hosts={"a": CLOUD}), {"word": Unsafe("release"), "evil": Unsafe("{{ y }}")})
    written = json.dumps(json_document(document))
    assert '"word": "release"' in written
    assert '"evil": {"__ansible_unsafe": "{{ y }}"}' in written
    assert '"tag": {"__ansible_unsafe": ' in written
    assert json.loads(written, object_hook=plain_text) == document
