"""How values are sent between a command and its server."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import orchestrator.domain
import orchestrator.management
from orchestrator.domain.calendar.entries import CalendarEntry
from orchestrator.domain.environment import ParityRule
from orchestrator.domain.model import Model
from orchestrator.domain.release import Watch
from orchestrator.domain.requirements.model import FactRequirement
from orchestrator.management.sent_types import from_data, to_data

ALIASED: dict[type[Model], dict[str, Any]] = {
    Watch: {"for": "10m", "tests": "tests/watch"},
    FactRequirement: {"fact": "ansible_memtotal_mb", "is": ">= 512"},
    ParityRule: {"with": "staging"},
    CalendarEntry: {
        "title": "office hours", "start": "2026-03-02T09:00", "end": "2026-03-02T17:00", "zone": "Europe/Berlin",
        "except": ["2026-03-03T09:00"],
    },
}  # fmt: skip
"""The values whose files have other words than the program."""


def every_model(kind: type[Model] = Model) -> Iterator[type[Model]]:
    """The models below *kind*."""
    for below in kind.__subclasses__():
        yield below
        yield from every_model(below)


def test_every_value_with_words_of_its_own_is_here() -> None:
    """A model with an alias is in the table of this test, so that the next one is sent, too."""
    for package in (orchestrator.domain, orchestrator.management):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    own = {
        model
        for model in every_model()
        if model.__module__.startswith(("orchestrator.domain", "orchestrator.management"))
    }
    assert {model for model in own if any(each.alias for each in model.model_fields.values())} == set(ALIASED)


@pytest.mark.parametrize("kind", ALIASED)
def test_a_value_is_sent_with_the_words_of_its_file(kind: type[Model]) -> None:
    """A value whose file has another word for a field, such as `for` of a watch, is the same at the other end."""
    value = kind.from_json(ALIASED[kind])
    assert from_data(kind, to_data(kind, value)) == value
