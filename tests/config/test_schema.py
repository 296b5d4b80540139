"""The JSON Schema and the reader agree on what a text may be: an editor shows what `validate` would say."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema.protocols import Validator

from orchestrator.config.diagnose import build
from orchestrator.config.schema import schema
from orchestrator.config.source import parse
from orchestrator.domain.errors import OrchestratorErrors
from orchestrator.domain.release import Release

BASE: dict[str, Any] = {
    "apiVersion": "orchestrator/v1",
    "kind": "Release",
    "name": "shop",
    "version": "1.0.0",
    "environments": ["staging"],
    "steps": [{"name": "deploy", "playbook": "deploy.yml"}],
    "verify": [{"name": "smoke", "tests": "tests"}],
}


def _pattern(
    _validator: object, pattern: str, instance: object, _schema: object
) -> Iterator[jsonschema.ValidationError]:
    """As ECMA-262 has it: `$` is the very end, which Python's `$` is not."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", "\\Z"), instance, re.ASCII):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


EXTENDED: Callable[..., type[Validator]] = jsonschema.validators.extend  # the library's stubs give it no types
VALIDATOR = EXTENDED(jsonschema.Draft202012Validator, {"pattern": _pattern})(schema("release"))
FIELDS: dict[str, Any] = {
    "duration": lambda value: {"steps": [{**BASE["steps"][0], "timeout": value}]},
    "size": lambda value: {"requirements": [{"memory": value}]},
    "batch": lambda value: {"steps": [{**BASE["steps"][0], "rollout": {"batches": [value]}}]},
    "path": lambda value: {"include": [value]},
    "variable": lambda value: {"vars": {str(value): 1}},
    "name": lambda value: {"environments": [value]},
    "version": lambda value: {"version": value},
    "hosts": lambda value: {"requirements": [{"hosts": value}]},
}
SHAPES = st.one_of(
    st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,3})?(ms|s|m|h|d|w|B|KiB|GiB|GB|%)?\n?", fullmatch=True),
    st.from_regex(r"(ansible_|[A-Za-z_])?[a-z0-9_-]{0,8}\n?", fullmatch=True),
    st.from_regex(r"[/~.]{0,3}[a-z.]{0,4}/?[.]{0,2}(/[a-z.\\]{0,4}){0,3}\n?", fullmatch=True),
    st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cf"]), max_size=12),
    st.integers(min_value=-5, max_value=200),
)


def _reader_accepts(document: dict[str, Any]) -> bool:
    try:
        build(parse(json.dumps(document), "release.yaml"), Release)
    except OrchestratorErrors:
        return False
    return True


@pytest.mark.parametrize("field", FIELDS)
@given(value=SHAPES)
@example("5m\n")
@example("7d")
@example("1.5h")
@example("\u0663s")
@example("100%")
@example("101%")
@example("05%")
@example(0)
@example("..")
@example("a/..")
@example("a/..b/...")
@example("ansible_user")
@example("a\n")
@example("~web[0-9]+")
@example("web[1:3]:!web[0]")
@example("a, b")
@example("web[")
@example("!")
@example("web: &")
@example("@file")
@example("{{ group }}")
def test_the_schema_and_the_reader_agree(field: str, value: str | int) -> None:
    """What the schema refuses the reader refuses, and the other way round: durations, sizes, batches, paths, names."""
    document = {**BASE, **FIELDS[field](value)}
    valid, accepted = VALIDATOR.is_valid(document), _reader_accepts(document)
    if field == "hosts" and "~" in str(value):  # only the reader can tell that a regular expression is none
        assert valid or not accepted
    else:
        assert valid == accepted


@pytest.mark.parametrize("kind", ["release", "environment", "project"])
def test_every_text_with_a_rule_has_a_pattern(kind: str) -> None:
    """Durations, sizes, batches, paths and names carry their pattern where an editor looks for it."""
    text = json.dumps(schema(kind))
    assert text.count('"pattern"') >= {"release": 20, "environment": 5, "project": 3}[kind]
