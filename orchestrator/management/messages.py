"""Messages to users about objects of release management."""

from collections.abc import Iterable

from orchestrator.app.acting import Change
from orchestrator.domain.register import OUTBOX, Message


def notify_once(task: Change, users: Iterable[str], kind: str, about: str, text: str, environment: str = "") -> None:
    """One message of this *kind* to each of *users* but the actor, *about* an object and its version.

    A user who has a message of this kind about it gets no second one.
    """
    for user in dict.fromkeys(users):
        dedup = f"{kind} {about} {user}"
        if user != str(task.acting.actor) and task.records.get(OUTBOX, dedup) is None:
            at = task.now.earliest
            message = Message(dedup=dedup, at=at, to=user, kind=kind, environment=environment, text=text)
            task.put(OUTBOX, message)
