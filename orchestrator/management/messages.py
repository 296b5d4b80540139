"""Messages to users about objects of release management."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.app.acting import Change
from orchestrator.domain.register import OUTBOX, Message


@dataclass(frozen=True)
class Subject:
    """What a message is about: an object by its *kind* and *id*, in a *version* or an event, which has one message.

    *path* leads to its page. *state* and *environment* are empty if it has none.
    """

    kind: str
    id: str
    version: object
    path: str
    state: str = ""
    environment: str = ""

    def dedup(self, user: str) -> str:
        """The key of the message to *user*."""
        return f"{self.kind} {self.id} {self.version} {user}"


def message_to(task: Change, user: str, subject: Subject, text: str) -> Message:
    """The message to *user*, by the actor."""
    return Message(
        dedup=subject.dedup(user),
        at=task.now.earliest,
        to=user,
        kind=subject.kind,
        environment=subject.environment,
        text=text,
        by=str(task.acting.actor),
        object_state=subject.state,
        path=subject.path,
    )


def notify_once(task: Change, users: Iterable[str], subject: Subject, text: str) -> None:
    """One message to each of *users* but the actor. A user who has a message about *subject* gets no second one."""
    for user in dict.fromkeys(users):
        if user != str(task.acting.actor) and task.records.get(OUTBOX, subject.dedup(user)) is None:
            task.put(OUTBOX, message_to(task, user, subject, text))
