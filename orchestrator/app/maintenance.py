"""Maintenance: the project key, backups and restores of the state, the tables of lists, and workers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.app.acting import Right
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.front_end import ApplicationParts, BackupContent
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.authentication import KeyRecord
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.worker import WorkerConfig, WorkerEvent
from orchestrator.domain.worker_calls import WorkerCall

KEY_UNUSABLE = frozenset({"S150", "S151", "S193"})
"""The error codes of a project key that is missing, damaged, or awaited after a restore."""


@dataclass(frozen=True)
class KnownKeys:
    """Keys of the project by their identifiers (*keys*), and the *file* of the current one."""

    file: str
    keys: tuple[KeyRecord, ...]


class Maintenance(UseCases):
    """The use cases that keep a project and its state in order."""

    def __init__(self, parts: ApplicationParts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.VIEW)
    def known_keys(self, actor: Actor) -> KnownKeys:
        """The identifiers of the project key and of the retired ones that are accepted, never a key itself."""
        return KnownKeys(str(self._parts.keys.file), tuple(self._parts.keys.known()))

    @use_case(Action.MANAGE_KEYS, recorded=False)
    def rotate_key(self, actor: Actor, *, revoke: bool = False) -> KnownKeys:
        """Make a new project key, and return its identifier. With *revoke*, former ones are not accepted any more.

        The entry of the audit stream is made before, or with the new key if the current one is lost. A revocation is
        recorded also with the new key: older keys verify the entries before that one and no others.
        """
        right, name = (Right(Action.MANAGE_KEYS),), "maintenance.rotate_key"
        reason, unusable = "", False
        try:
            self._rights.require(actor, right, "", recorded=True, use_case=name)
        except OrchestratorError as error:
            if error.code not in KEY_UNUSABLE:
                raise
            reason, unusable = error.message, True
        made = self._parts.keys.rotate(revoke=revoke)
        if unusable or revoke:
            reason = "; ".join(text for text in (reason, "earlier keys are revoked" if revoke else "") if text)
            self._rights.require(actor, right, reason, recorded=True, use_case=name)
        return KnownKeys(str(self._parts.keys.file), (made,))

    @use_case(Action.BACK_UP)
    def back_up(
        self, actor: Actor, target: Path, at: str, passphrase: bytes, *, logs: bool = False, secrets: bool = False
    ) -> BackupContent:
        """Write the state into the new file *target*. Raises S112, S114, S133, S134 and S193."""
        return self._parts.backups.take(target, at, passphrase, logs=logs, secrets=secrets)

    @use_case(Action.RESTORE)
    def admit_restore(self, actor: Actor) -> None:
        """Return if the actor may replace the state by that of a backup, and record that it is done."""

    @use_case(Action.RESTORE)
    def give_up_file(self, actor: Actor, name: str) -> bool:
        """Do not wait any more for the controller file *name* of a restored backup; whether it was missing."""
        return self._parts.withheld.give_up(name)

    @use_case(Action.RUN_WORKER)
    def rebuild_lists(self, actor: Actor) -> int:
        """Write the tables that lists are read from again, from the journal; the number of runs."""
        return self._parts.store.rebuild()

    @use_case(Action.RUN_WORKER)
    def serve(
        self,
        actor: Actor,
        rules: WorkerConfig,
        on_event: Callable[[WorkerEvent], None],
        work: Callable[[str], int],
        tidy: Callable[[], None],
        duties: Callable[[], Iterable[str]],
        answer: Callable[[WorkerCall], None],
    ) -> None:
        """Take requests by *rules* until stopped, as the system. *work* executes one, in a process of its own.

        *answer* executes a call of a use case for a server, with the rights of its actor.
        """
        self._parts.run_worker(rules, on_event, work, tidy, duties, answer)
