"""Words of earlier versions: what is read is what this version would have written."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.journal import Run
from orchestrator.domain.model import canonical_json
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.release import Manifest, Release
from orchestrator.domain.stored_words import (
    EVENTS,
    KINDS,
    NOTICE,
    RUN,
    RUN_REQUEST,
    STATES,
    notes_as_made,
    plan_as_made,
    read_entry,
    read_plan_fields,
    read_recorded_answer,
    read_run,
    read_text,
)

Data = dict[str, Any]

states, events = st.sampled_from([*map(str, State)]), st.sampled_from([*map(str, Event)])
names = st.sampled_from(["staging", "production"])
moves = st.fixed_dictionaries({"from": states, "event": events, "to": states})
controls = st.fixed_dictionaries(
    {"control": st.sampled_from(["", "pause", "cancel", "abort"]), "by": names, "why": st.text()}
)
ends = st.fixed_dictionaries({"state": states, "message": st.text(), "exit": st.integers(0, 9)})
waves = st.fixed_dictionaries(
    {"event": st.just("ended"), "number": st.just(1), "ended": st.dictionaries(names, states)}
)
requests = st.fixed_dictionaries({"kind": st.sampled_from(["promotion", "override"]), "targets": st.lists(names)})
entries = st.one_of(
    *(
        st.builds(lambda data, kind=kind: {"kind": kind, "data": data, "key": kind}, data)
        for kind, data in {
            "state": moves,
            "control": controls,
            "ended": ends,
            "wave": waves,
            "requested": requests,
            "notice": st.fixed_dictionaries({"text": st.text()}, optional={"override_reason": st.text()}),
        }.items()
    )
)
runs = st.builds(
    lambda state, control: Run(
        id="r1",
        root="r1",
        kind="promotion",
        environment="staging",
        state=State(state),
        control=control,
        control_by="ann",
    ).to_json(),
    states,
    st.sampled_from(["", "pause"]),
)


def _earlier(words: dict[str, str], data: Data, *fields: str) -> Data:
    before = {new: old for old, new in words.items()}
    return {**data, **{field: before.get(data[field], data[field]) for field in fields}}


def earlier_run(run: Data) -> Data:
    """*run* as the version before wrote it."""
    earlier: Data = RUN.write(_earlier(STATES, run, "state"))
    return earlier


def earlier_entry(entry: Data) -> Data:
    """*entry* as the version before wrote it."""
    data = entry["data"]
    if entry["kind"] == "state":
        data = _earlier(EVENTS, _earlier(STATES, data, "from", "to"), "event")
    elif entry["kind"] == "ended":
        data = _earlier(STATES, data, "state")
    elif entry["kind"] == "wave":
        data = {**data, "ended": _earlier(STATES, data["ended"], *data["ended"])}
    elif entry["kind"] == "requested":
        data = _earlier(KINDS, data, "kind")
    elif entry["kind"] == "control":
        data = {{"control": "wish"}.get(name, name): value for name, value in data.items()}
    elif entry["kind"] == "notice":
        data = NOTICE.write(data)
    return {**entry, "data": data}


@given(entries)
def test_an_earlier_entry_is_read_as_this_version_writes_it(entry: Data) -> None:
    """Each entry of the version before is read as the entry that this version would have written, and keeps its key."""
    assert read_entry(earlier_entry(entry)) == entry


@given(entries)
def test_a_current_entry_is_read_as_it_is(entry: Data) -> None:
    """Translating an entry of this version changes nothing, so that translating twice is translating once."""
    assert read_entry(entry) == entry


@given(runs)
def test_an_earlier_run_is_read_as_this_version_writes_it(run: Data) -> None:
    """A row of the version before is read as the run that this version would have written; its own as it is."""
    assert read_run(earlier_run(run)) == run == read_run(run)


@given(states)
def test_a_recorded_answer_has_the_current_state(state: str) -> None:
    """What durable execution recorded of a part of a rollout in waves is read with the current state."""
    answer = {"state": state, "exit": 5}
    assert read_recorded_answer(_earlier(STATES, answer, "state")) == answer == read_recorded_answer(answer)
    assert read_recorded_answer(state) == state


def test_the_parts_of_a_result_have_the_current_names() -> None:
    """The hosts and the probe in the recorded result of a step are read with the current names of their fields."""
    outline: Data = {"hosts": {"web1": {}}, "groups": {}, "files": [], "said": None}
    probe = {"most_away": 1, "hosts": 2, "away": {"web1": 2.0}, "asked": 9}
    answer = {"outcome": "succeeded", "data": {"outline": outline, "probe": probe}}
    found = read_recorded_answer(answer)
    assert found["data"]["outline"] == {"hosts": {"web1": {}}, "groups": {}, "files": [], "source_digest": None}
    assert found["data"]["probe"] == {"most_unavailable": 1, "hosts": 2, "host_downtime": {"web1": 2.0}, "requests": 9}
    assert read_recorded_answer(found) == found
    assert json.loads(read_text("ProbeSample", '{"kind": "beat", "asked": 3}')) == {"kind": "beat", "requests": 3}


def test_free_text_is_not_translated() -> None:
    """A message that has an earlier word stays as it was written."""
    entry = {"kind": "ended", "data": {"state": "failed", "message": "it needs a person, and was proving", "exit": 1}}
    assert read_entry(entry) == entry
    assert read_text("Record", '{"kind": "notice", "data": {"text": "needs a person"}}').count("needs a person") == 1


SEALED_BEFORE = "sha256:d0247d4954ae4ba1c6a8dc2a59156d657592349550b32adc66ed9a2a66aab1f2"
"""The digest of a package, by the last version that had `look` in its files."""
EARLIER_PLAN = {
    "apiVersion": "orchestrator/v1",
    "kind": "Plan",
    "named": {"replace": ["db"], "no_return": []},
    "base": [{"host": "web1", "truth": "seen", "stands_by": True}],
    "back": {"available": True, "again": {"restore": []}},
    "again": {"restore": []},
    "blue_green": {"look": None, "left": ["web1"]},
    "steps": [{"canary": {"hosts": 1, "look": {"seconds": 1.0}}}, {"canary": None}],
    "no_return": True,
    "stack": {"base": "sha256:1", "inventory": {"hosts": {}, "said": None}},
    "inventory": {"hosts": {}, "said": None},
}


def test_a_plan_keeps_its_form() -> None:
    """A plan of form v1 or v2 is read with current names, and written with its own: its digest stays."""
    fields = read_plan_fields(EARLIER_PLAN)
    assert (fields["current_hosts"], fields["rollback_target"]["second_pass"]) == (
        [{"host": "web1", "truth": "seen", "is_standby": True}],
        {"restore": []},
    )
    assert fields["steps"][0]["canary"]["observation"] == {"seconds": 1.0}
    assert plan_as_made(fields) == EARLIER_PLAN
    assert fields["inventory"] == fields["stack"]["inventory"] == {"hosts": {}, "source_digest": None}
    assert (fields["skip_irreversible"], fields["acknowledgements"]["no_return"]) == (True, [])
    current = {**fields, "apiVersion": "orchestrator/v3"}
    assert plan_as_made(current) == current == read_plan_fields(current)
    second = {**current, "apiVersion": "orchestrator/v2", "no_return": True}
    second |= {"inventory": EARLIER_PLAN["inventory"], "stack": {"state_digest": "sha256:1", "inventory": None}}
    current["stack"] = second["stack"]
    del second["skip_irreversible"]
    assert read_plan_fields(second) == {**current, "apiVersion": "orchestrator/v2"}
    assert plan_as_made(read_plan_fields(second)) == second


def test_a_package_keeps_the_form_in_which_it_was_sealed() -> None:
    """A package that was sealed with `look` is read with `observe`, and keeps its digest."""
    canary = {"hosts": 1, "observe": "5m", "every": "10s", "gates": [{"name": "errors", "command": ["true"]}]}
    sides = {"blue": "blue", "green": "green", "switch": "switch.yml", "observe": "1m"}
    steps = [
        {
            "name": "router",
            "playbook": "deploy.yml",
            "hosts": "lb",
            "rollout": {"strategy": "canary", "canary": canary},
        },
        {"name": "deploy", "playbook": "deploy.yml", "rollout": {"strategy": "blue_green", "blue_green": sides}},
        {"name": "last", "playbook": "deploy.yml"},
    ]
    head = {"apiVersion": "orchestrator/v1", "kind": "Release", "name": "shop", "version": "1.0.0"}
    suites = [{"name": "smoke", "tests": "tests"}]
    release = Release.from_json({**head, "environments": ["production"], "steps": steps, "verify": suites})
    manifest = Manifest(apiVersion="orchestrator/v1", kind="Package", format=2, release=release, files=())
    assert manifest.digest == SEALED_BEFORE
    text = canonical_json(manifest.sealed())
    assert (text.count(b'"look"'), text.count(b'"observe"')) == (2, 0)
    assert Manifest.of_sealed(text) == manifest


def test_the_plan_of_a_rollout_in_waves_keeps_its_form() -> None:
    """The plan over all waves keeps its form, and so does the plan of each environment in it."""
    waves = [[{"environment": "a", "plan": EARLIER_PLAN}, {"environment": "b", "plan": None}]]
    document = {"apiVersion": "orchestrator/v1", "kind": "WavePlan", "walk": {"name": "all"}, "waves": waves}
    fields = read_plan_fields(document)
    assert (fields["rollout"], "current_hosts" in fields["waves"][0][0]["plan"]) == ({"name": "all"}, True)
    assert plan_as_made(fields) == document
    part = {"apiVersion": "orchestrator/v2", "kind": "Plan", "no_return": True}
    second = {"apiVersion": "orchestrator/v2", "kind": "WavePlan", "waves": [[{"environment": "a", "plan": part}]]}
    assert read_plan_fields(second)["waves"][0][0]["plan"]["skip_irreversible"] is True
    assert plan_as_made(read_plan_fields(second)) == second


def test_the_notes_of_an_earlier_plan_name_its_options() -> None:
    """A note about a release that was rolled back names the option of the plan's form, so that an approved plan holds."""
    note = "shop 1.1.0 was rolled back in staging by r1-staging ({} -m WHY promotes it anyway)"
    current, earlier = (note.format("--allow-rolled-back"),), (note.format("--again"),)
    assert notes_as_made("orchestrator/v2", current) == notes_as_made("orchestrator/v1", current) == earlier
    assert notes_as_made("orchestrator/v3", current) == current


@given(st.text())
def test_an_earlier_run_request_is_read_as_this_version_writes_it(reason: str) -> None:
    """A request for a promotion is read with the current names of its fields; a current one as it is."""
    request = {"id": "r1-staging", "allow_rolled_back": reason, "overrun": ""}
    for text in (json.dumps(RUN_REQUEST.write(request)), json.dumps(request)):
        assert json.loads(read_text("RunRequest", text)) == request
