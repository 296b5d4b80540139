"""The audit stream: every mutation of it is found at its place."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.audit.chain import (
    AuditEntry,
    AuditHead,
    AuditRecord,
    Fault,
    Finding,
    appended,
    check_chain,
    empty_head,
    head_of,
    verify_chain,
)
from orchestrator.domain.audit.export import AuditFilter, csv_text, describe, drawn, population
from orchestrator.domain.audit.restores import RestoreNote, explanation, recorded_restores, restore_record
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.model import digest_of
from orchestrator.domain.moments import parse_moment

KEY, OLD_KEY, WRONG_KEY = b"k" * 32, b"o" * 32, b"w" * 32


def stream(size: int, key: bytes = KEY, old: int = 0) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    head = empty_head("shop")
    for number in range(size):
        record = AuditRecord.from_json({
            "project": "shop", "at": f"2026-11-{number % 28 + 1:02}T12:00:00Z", "actor": "ann", "actor_kind": "user",
            "method": "token", "action": "promote", "object": f"run:R-{number}", "environment": ("staging", "production")[number % 2],
            "outcome": "denied" if number % 5 == 4 else "done", "reason": f"=reason {number}", "detail": {"number": number},
        })  # fmt: skip
        entries.append(appended(head, record, OLD_KEY if number < old else key))
        head = head_of(entries[-1])
    return entries


def edited(entry: AuditEntry, **fields: Any) -> AuditEntry:
    return AuditEntry.from_json({**entry.to_json(), **fields})


WHOLE = stream(12)
HEAD = head_of(WHOLE[-1])


def verify(entries: list[AuditEntry], head: AuditHead | None = HEAD) -> Finding | None:
    return verify_chain(entries, [KEY], head=head)


def test_a_stream_that_was_not_changed_is_whole() -> None:
    """With the current key, with former keys, from a place on, and against an older head."""
    assert verify(WHOLE) is None
    assert verify([], empty_head("shop")) is None
    assert verify_chain(stream(6, old=3), [KEY, OLD_KEY]) is None
    assert verify_chain(stream(6, old=3), [KEY]) == Finding(1, Fault.UNKNOWN_KEY)
    assert verify_chain(WHOLE[4:], [KEY], start=head_of(WHOLE[3])) is None
    assert verify(WHOLE, head_of(WHOLE[5])) is None
    assert AuditEntry.from_json(WHOLE[0].to_json()) == WHOLE[0]


FIELDS: st.SearchStrategy[tuple[str, Any]] = st.sampled_from([
    ("at", "2020-01-01T00:00:00Z"), ("actor", "eve"), ("actor_kind", "system"), ("method", "local"), ("credential", "ab12"),
    ("action", "view"), ("object", "run:R-99"), ("environment", None), ("outcome", "failed"), ("reason", ""),
    ("detail", {}), ("before", f"sha256:{'0' * 64}"), ("after", f"sha256:{'0' * 64}"), ("project", "other"),
])  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 11), FIELDS)
def test_an_edited_entry_is_named(place: int, change: tuple[str, Any]) -> None:
    """Any field, at any place."""
    changed = edited(WHOLE[place], **dict([change]))
    assert verify([*WHOLE[:place], changed, *WHOLE[place + 1 :]]) == Finding(place + 1, Fault.EDITED)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 11), st.integers(1, 12))
def test_removed_entries_are_named(place: int, number: int) -> None:
    """At the end they are truncated, which only a head that was kept elsewhere shows."""
    left = [*WHOLE[:place], *WHOLE[place + number :]]
    fault = Fault.REMOVED if place + number < 12 else Fault.TRUNCATED
    assert verify(left) == Finding(place + 1, fault)
    assert (verify(left, None) is None) is (place + number >= 12)


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(12)))
def test_reordered_entries_are_named(order: list[int]) -> None:
    """The first place that has another entry is found."""
    found = verify([WHOLE[number] for number in order])
    first = next((place for place, number in enumerate(order) if place != number), None)
    assert found == (None if first is None else Finding(first + 1, Fault.REORDERED))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 11), st.integers(0, 11))
def test_a_repeated_entry_is_named(place: int, copied: int) -> None:
    """An entry that is in the stream a second time is found at its second place, or where another one is missing."""
    again = [*WHOLE[: place + 1], WHOLE[copied], *WHOLE[place + 1 :]]
    found = verify(again)
    assert found is not None
    assert found == (
        Finding(copied + 1, Fault.REPEATED) if copied <= place + 1 else Finding(place + 2, Fault.REORDERED)
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 11))
def test_a_stream_that_was_rewritten_without_the_key_is_named(place: int) -> None:
    """All links fit each other, and the codes do not fit the key."""
    entries, head = list(WHOLE[:place]), head_of(WHOLE[place - 1]) if place else empty_head("shop")
    for entry in WHOLE[place:]:
        made = appended(head, AuditRecord.from_json(record_of(entry)), WRONG_KEY)
        entries.append(edited(made, key=WHOLE[0].key))
        content = entries[-1].content
        entries[-1] = edited(entries[-1], leaf=digest_of(content))
        head = head_of(entries[-1])
    assert verify(entries) == Finding(place + 1, Fault.REWRITTEN)


def record_of(entry: AuditEntry) -> dict[str, Any]:
    left = {"index", "key", "previous", "leaf", "code"}
    return {name: value for name, value in entry.to_json().items() if name not in left}


def test_a_stream_that_another_one_replaced_is_named_by_the_head() -> None:
    """Made with the key, and not what was recorded."""
    other = stream(11)
    record = AuditRecord.from_json({**record_of(WHOLE[11]), "actor": "eve"})
    replaced = [*other, appended(head_of(other[-1]), record, KEY)]
    assert verify(replaced, None) is None
    assert verify(replaced) == Finding(12, Fault.REPLACED)


def test_a_population_is_defined_by_a_filter_as_text() -> None:
    """The start is included and the end is not; the export states how many fit, their digest and the exceptions."""
    chosen = AuditFilter(
        start=parse_moment("2026-11-02T12:00:00Z"), end=parse_moment("2026-11-11T12:00:00Z"), environment="production"
    )
    assert (
        str(chosen) == "at >= 2026-11-02T12:00:00.000Z and at < 2026-11-11T12:00:00.000Z and environment = production"
    )
    assert [entry.index for entry in population(WHOLE, chosen)] == [2, 4, 6, 8, 10]
    made = describe(WHOLE, chosen, head=HEAD, at=parse_moment("2026-11-29T12:00:00Z"), by="eve", sample=(2, 7))
    assert (made.population, made.whole, made.exceptions, made.head) == (5, 12, (10,), HEAD)
    assert made.sample == drawn([f"run:R-{number}" for number in (9, 7, 5, 3, 1)], 2, 7)
    assert made.digest != describe(WHOLE[:8], chosen, head=HEAD, at=made.exported_at, by="eve").digest


@given(st.sets(st.text(max_size=5), max_size=30), st.integers(1, 40), st.integers())
def test_a_sample_can_be_drawn_again(objects: set[str], size: int, seed: int) -> None:
    """By the same seed in any order; a larger sample contains the smaller one."""
    sample = drawn(objects, size, seed)
    assert sample == drawn(sorted(objects, reverse=True), size, seed)
    assert len(sample.objects) == min(size, len(objects))
    assert set(sample.objects) <= objects
    assert drawn(objects, size + 1, seed).objects[:size] == sample.objects


def test_a_sample_does_not_depend_on_the_version_of_the_program() -> None:
    """The draw is pinned by value."""
    assert drawn([f"run:R-{number}" for number in range(100)], 3, 7).objects == ("run:R-66", "run:R-23", "run:R-70")


def test_csv_has_no_formulas() -> None:
    """A cell that a spreadsheet would calculate is text."""
    lines = csv_text(WHOLE[:1]).split("\r\n")
    assert lines[0].startswith("index,at,actor,")
    assert ",'=reason 0," in lines[1]
    assert lines[2:] == [""]


def test_a_broken_stream_is_an_error_with_the_index() -> None:
    """The error names the entry and the fault."""
    check_chain(WHOLE, [KEY], head=HEAD)
    with pytest.raises(OrchestratorError, match=r"A401.*entry 3: removed"):
        check_chain([*WHOLE[:2], *WHOLE[3:]], [KEY], head=HEAD)


def restored(entries: list[AuditEntry], note: RestoreNote) -> list[AuditEntry]:
    """*entries* with the entry of a restore."""
    return [*entries, appended(head_of(entries[-1]), restore_record(note, head_of(entries[-1])), KEY)]


def restore_note(number: int, head: AuditHead | None) -> RestoreNote:
    return RestoreNote.from_json({
        "id": f"r{number}", "project": "shop", "by": {"name": "ann", "method": "token"}, "at": "2026-12-01T12:00:00Z",
        "backup": "a.backup", "made_at": "2026-11-07T12:00:00Z", "digest": f"sha256:{'0' * 64}", "head": head and head.to_json(),
    })  # fmt: skip


def test_a_restore_names_the_entries_that_are_missing() -> None:
    """The entry of a restore says who, from which backup, and both heads, and is the explanation of exactly the missing entries."""
    entries = restored(WHOLE[:7], restore_note(1, HEAD))
    assert verify(entries, None) is None
    (found,) = recorded_restores(entries)
    assert (
        str(found) == "entries 8 to 12 are missing: ann restored a.backup of 2026-11-07T12:00:00Z (recorded in entry 8)"
    )
    assert found.to_json()["missing"] == {"first": 8, "last": 12}
    assert [explanation([found], head_of(entry)) is not None for entry in WHOLE] == [False] * 7 + [True] * 5
    after = head_of(entries[-1]).model_copy(update={"restore": "r1"})
    assert explanation([found], after) is None


def test_a_head_is_explained_by_later_restores_only() -> None:
    """Of two restores the second one explains a head that was recorded after the first; a restore without a known head explains nothing."""
    first = restored(WHOLE[:7], restore_note(1, HEAD))
    kept = head_of(first[-1]).model_copy(update={"restore": "r1"})
    second = restored(first[:8], restore_note(2, kept.model_copy(update={"index": 11})))
    found = recorded_restores(second)
    lost = kept.model_copy(update={"index": 10})
    explained = explanation(found, lost)
    assert explained is not None
    assert explained.detail.id == "r2"
    assert explanation(recorded_restores(restored(WHOLE[:7], restore_note(3, None))), HEAD) is None
