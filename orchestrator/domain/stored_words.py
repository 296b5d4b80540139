"""Words that earlier versions stored, and the words that replaced them. No other module knows the earlier ones.

Entries of the journal, recorded answers of durable execution and requests stay as they were written. They are
translated when they are read. Rows of tables are migrated once, with the same functions. Translating twice changes
nothing. Names of durable steps, keys of entries and digests are never changed. A plan keeps the form (`apiVersion`) in
which it was made, because its digest covers the names of its fields.
"""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

Data = Mapping[str, Any]


class Translator(Protocol):
    """Translates documents of one kind."""

    def translated(self, data: Any, *, back: bool) -> Any:
        """*data*, a document or a list of them, with other names of its fields; *back*: the earlier ones."""


@dataclass(frozen=True)
class Shape:
    """A document: *names* maps earlier names of its fields to current ones, *parts* current names to their shapes."""

    names: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, Translator] = field(default_factory=dict)

    def read(self, data: Any) -> Any:
        """*data*, a document or a list of them, with the current names."""
        return self.translated(data, back=False)

    def write(self, data: Any) -> Any:
        """*data*, which has the current names, with the earlier names."""
        return self.translated(data, back=True)

    def translated(self, data: Any, *, back: bool) -> Any:
        """*data* with the current names of its fields; *back*: with the earlier ones."""
        if isinstance(data, (list, tuple)):
            return [self.translated(item, back=back) for item in data]
        if not isinstance(data, dict):
            return data
        names = {new: old for old, new in self.names.items()} if back else self.names
        found = {}
        for name, value in data.items():
            part = self.parts.get(self.names.get(name, name))
            found[names.get(name, name)] = value if part is None else part.translated(value, back=back)
        return found


@dataclass(frozen=True)
class Forms:
    """A document that keeps the form in which it was made: its *shapes* by `apiVersion`. Others have current names."""

    shapes: Mapping[str, Shape]

    def read(self, data: Any) -> Any:
        """*data* with the current names."""
        return self.translated(data, back=False)

    def write(self, data: Any) -> Any:
        """*data*, which has the current names, in the form in which the document was made."""
        return self.translated(data, back=True)

    def translated(self, data: Any, *, back: bool) -> Any:
        """*data* with the current names of its fields; *back*: with those of its form."""
        shape = self.shapes.get(str(data.get("apiVersion"))) if isinstance(data, dict) else None
        return data if shape is None else shape.translated(data, back=back)


V1, V2 = "orchestrator/v1", "orchestrator/v2"
"""The earlier forms of plans. The plan of one environment has the form `orchestrator/v3`, the others V2."""

HOST = Shape({"stands_by": "is_standby", "unsure": "switch_uncertain"})
TARGET = Shape({"again": "second_pass"})
SIDES = Shape({"look": "observation", "left": "unchanged_hosts"})
CANARY = Shape({"look": "observation"})
INVENTORY = Shape({"said": "source_digest"})
PROBE_SAMPLE = Shape({"asked": "requests"})
PROBE = Shape({"most_away": "most_unavailable", "away": "host_downtime", "asked": "requests"})
"""The report of a probe, and one of its samples."""
SKIP = {"no_return": "skip_irreversible"}
PLAN_V1 = Shape(
    {
        "named": "acknowledgements",
        "base": "current_hosts",
        "back": "rollback_target",
        "again": "second_pass",
        **SKIP,
    },
    {
        "current_hosts": HOST,
        "rollback_target": TARGET,
        "blue_green": SIDES,
        "steps": Shape(parts={"canary": CANARY}),
        "stack": Shape({"base": "state_digest"}, {"inventory": INVENTORY}),
        "inventory": INVENTORY,
    },
)
PLAN_V2 = Shape(SKIP, {"stack": Shape(parts={"inventory": INVENTORY}), "inventory": INVENTORY})
PLAN = Forms({V1: PLAN_V1, V2: PLAN_V2})
WAVES = {"waves": Shape(parts={"plan": PLAN})}
WAVE_PLAN = Forms({V1: Shape({"walk": "rollout"}, WAVES), V2: Shape(parts=WAVES)})
ROLLBACK_PLAN = Forms({V1: Shape({"again": "second_pass"})})
PLANS = {"Plan": PLAN, "WavePlan": WAVE_PLAN, "RollbackPlan": ROLLBACK_PLAN}
"""The documents that keep their form, by their kind."""

_RULE = Shape({"look": "observe"})
MANIFEST = Shape(
    parts={
        "release": Shape(parts={"steps": Shape(parts={"rollout": Shape(parts={"canary": _RULE, "blue_green": _RULE})})})
    }
)
"""The manifest of a package. It is always written with the earlier names, which its digest covers."""
KEYS = {"look": "observe"}
"""The keys of files that users write. The earlier ones are refused, with the current one as the hint."""

STATES = {"needs a person": "needs intervention", "proving": "verifying rollback"}
"""The states of a run."""
EVENTS = {"prove": "verify rollback", "walk": "start waves", "return": "roll back"}
"""What moved a run to another state."""
KINDS = {"accept": "override"}
"""The kinds of runs."""
RUN = Shape({"wish": "control", "wished_by": "control_by", "wished_at": "control_at"})
REQUEST = Shape({"about": "parameters", "again": "retry"})
PARAMETERS = Shape({"named": "acknowledgements", "again": "override_reason"}, {"waves": Shape({"walk": "rollout"})})
PLANNED = Shape(
    {"named": "acknowledgements", "back": "rollback_target", "walk": "rollout", "there": "already_deployed"},
    {"rollback_target": TARGET},
)
RUN_REQUEST = Shape({"again": "allow_rolled_back"})
"""A request for a promotion, which approvers decide."""
NOTICE = Shape({"again": "override_reason"})
TABLES = {"works": "queued_requests", "waits": "queue_entries"}
"""The tables of the store."""
ENTRY_KINDS = {"way back": "rollback plan"}
"""The kinds of entries."""


def read_plan_fields(document: Data) -> Any:
    """The fields of a plan of any kind, in whichever form it was made."""
    return PLANS[str(document.get("kind"))].read(document) if document.get("kind") in PLANS else document


def plan_as_made(fields: Data) -> Any:
    """The *fields* of a plan of any kind in the form in which it was made, which its digest covers."""
    return PLANS[str(fields["kind"])].write(fields)


def read_manifest(text: bytes) -> bytes:
    """The JSON *text* of a package's manifest with the current names; as it is if it cannot be read."""
    if any(f'"{name}"'.encode() in text for name in KEYS):
        with suppress(ValueError, RecursionError):  # the validation of the manifest reports it
            return json.dumps(MANIFEST.read(json.loads(text))).encode()
    return text


def notes_as_made(form: str, notes: tuple[str, ...]) -> tuple[str, ...]:
    """The *notes* of a plan as a plan of this *form* has them: its digest covers the options that they name."""
    if form not in PLAN.shapes:
        return notes
    return tuple(note.replace("(--allow-rolled-back -m WHY ", "(--again -m WHY ") for note in notes)


def read_run(data: Data) -> dict[str, Any]:
    """A run, as this version writes it."""
    return _replaced(_replaced(RUN.read(data), "state", STATES), "kind", KINDS)


def read_host(data: Data) -> dict[str, Any]:
    """The state of a host, as this version writes it."""
    found: dict[str, Any] = HOST.read(data)
    before = found.get("before")
    return {**found, "before": read_host(before)} if isinstance(before, dict) else found


def read_request(data: Data) -> dict[str, Any]:
    """A request in its recorded form, as this version writes it."""
    found = _replaced(REQUEST.read(data), "kind", KINDS)
    return {**found, "parameters": PARAMETERS.read(found["parameters"])} if found.get("parameters") else found


def read_queued_request(data: Data) -> dict[str, Any]:
    """A request in the queue, as this version writes it."""
    found = {{"asked": "request"}.get(name, name): value for name, value in data.items()}
    return {**found, "request": read_request(found["request"])} if isinstance(found.get("request"), dict) else found


def read_entry(data: Data) -> dict[str, Any]:
    """An entry of the journal, as this version writes it."""
    found = _replaced(data, "kind", ENTRY_KINDS)
    translate = ENTRIES.get(str(found.get("kind")))
    return found if translate is None else {**found, "data": translate(found.get("data") or {})}


def read_recorded_answer(answer: Any) -> Any:
    """What a step, or a part of a run, answered, as this version records it."""
    if not isinstance(answer, dict):
        return answer
    found, data = _replaced(answer, "state", STATES), answer.get("data")
    if isinstance(data, dict):
        parts = {name: read(data[name]) for name, read in RESULTS.items() if data.get(name)}
        found["data"] = {**data, **parts}
    return found


def _read_hosts(states: Any) -> Any:
    return [read_host(state) for state in states] if isinstance(states, list) else states


def _state(data: Data) -> dict[str, Any]:
    found = _replaced(data, "event", EVENTS)
    return _replaced(_replaced(found, "from", STATES), "to", STATES)


def _ended(data: Data) -> dict[str, Any]:
    return _replaced(data, "state", STATES)


def _wave(data: Data) -> dict[str, Any]:
    ended = data.get("ended")
    if not isinstance(ended, dict):
        return dict(data)
    return {**data, "ended": {name: STATES.get(state, state) for name, state in ended.items()}}


RESULTS: dict[str, Callable[[Any], Any]] = {
    "states": _read_hosts,
    "outline": INVENTORY.read,
    "probe": PROBE.read,
}
"""How the parts of a step's result are translated, by their names."""
ENTRIES: dict[str, Callable[[Data], dict[str, Any]]] = {
    "requested": read_request,
    "state": _state,
    "control": Shape({"wish": "control"}).read,
    "planned": PLANNED.read,
    "rollback plan": ROLLBACK_PLAN.read,
    "notice": NOTICE.read,
    "step.started": Shape({"named": "acknowledgements"}).read,
    "step.finished": read_recorded_answer,
    "host": read_host,
    "switched": Shape({"unsure": "switch_uncertain"}).read,
    "ended": _ended,
    "wave": _wave,
}
"""How the data of each kind of entry is translated."""

DOCUMENTS: dict[str, Callable[[Data], dict[str, Any]]] = {
    "Run": read_run,
    "Record": read_entry,
    "QueuedRequest": read_queued_request,
    "HostState": read_host,
    "RunRequest": RUN_REQUEST.read,
    "ProbeSample": PROBE_SAMPLE.read,
}
"""How each kind of value in the store is translated, by the name of its model."""

_SHAPES = (HOST, RUN, REQUEST, PARAMETERS, PLANNED, RUN_REQUEST, NOTICE, INVENTORY, PROBE, PROBE_SAMPLE)
_FIELDS = {
    *(name for shape in _SHAPES for name in shape.names),
    *("asked", *EVENTS, *KINDS, *STATES, *ENTRY_KINDS),
}
EARLIER = re.compile("|".join(f'"{re.escape(word)}"' for word in sorted(_FIELDS)))
"""What a text has that may have to be translated."""


def read_text(model: str, text: str) -> str:
    """The JSON *text* of a *model* in the store, as this version writes it."""
    translate = DOCUMENTS.get(model)
    if translate is None or EARLIER.search(text) is None:
        return text
    return json.dumps(translate(json.loads(text)))


def _replaced(data: Data, name: str, words: Mapping[str, str]) -> dict[str, Any]:
    """*data* with the word in the field *name* replaced if it is one of *words*."""
    value = data.get(name)
    return {**data, name: words[value]} if isinstance(value, str) and value in words else dict(data)
