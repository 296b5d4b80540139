"""The words that records and documents are read by: a field of a record that is one of them is never masked.

A secret `succeeded` that was masked in every field would make the journal unreadable: an outcome has that name.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, get_args, get_origin

from orchestrator.domain.model import Model
from orchestrator.domain.promotion import Event, State
from orchestrator.domain.step import Outcome

RECORD_WORDS = """
    artifacts attempt attempts author batches before branch building canary cancel cancelled changed changes choose
    closing commit control counts current default definition deploy deployment detached digest document effects elapsed
    ended environment ephemeral errored events evidence excluded executor failed failure fence files finished gates
    handlers happened hidden hosts include infrastructure installed interrupted inventory journal label ledger ledgers
    lacking level listing localhost losses members message migrate missing notice number object observe operation
    outcome outline output outputs package packages parity parked passed password paused pending planned playbook
    prepare preview previous probed project promote promoted promotion properties provider provision proved rehearsal
    rehearse rehearsed release released remaining replace requested require reserved resolve resource restore restored
    restores result resume resuming retire rollback rolled rollout running schema seconds sequence settled sided
    skipped snapshot staging started status stopped succeeded switch switched target targets tasks tests timeout touched
    traffic uncertain undone undoing unfinished unknown unreachable unsure untouched update updated upgrade urgent
    variables verified verify version waiting walking warning watched waves worker workflow yielded
    step.started step.finished way-back rollback-plan already_deployed as-the-walk import reconciled states judge
    switched:accept switched:destroy may_change override_reason
    collected corrupt exited expected ignored nobody notices pytest python refreshed reruns resources commits machine
    create delete refresh refreshed replace replaced request
    minimum pattern column engine_seconds recovery_seconds switch_back_seconds failed_at finished_at started_at alerts
    ENQUEUED PENDING SUCCESS CANCELLED MAX_RECOVERY_ATTEMPTS_EXCEEDED portable_json positionalArgs namedArgs
"""
"""Keys and values of records that no model has, and those of durable execution."""


@cache
def own_words() -> frozenset[str]:
    """Names of fields, values of closed lists, states, outcomes and the words of records."""
    words = {*(word.replace("-", " ") for word in RECORD_WORDS.split()), *map(str, (*State, *Event, *Outcome))}
    for model in _below(Model):
        for name, about in model.model_fields.items():
            words |= {name, about.alias or name, *_literals(about.annotation)}
    return frozenset(words)


def _below(model: type[Model]) -> Iterator[type[Model]]:
    for inner in model.__subclasses__():
        yield inner
        yield from _below(inner)


def _literals(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from (value for value in get_args(annotation) if isinstance(value, str))
    else:
        for part in get_args(annotation):
            yield from _literals(part)
