"""The secret address of the calendar of each user: created, shown once, replaced and revoked."""

import secrets
from dataclasses import dataclass

from orchestrator.app.acting import Acting, Change, View, access_of, change, read_register
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.powers import powers_of_scopes
from orchestrator.domain.access.principals import Actor, Method, Scope
from orchestrator.domain.access.sign_in import VALUE, VALUE_BYTES, secret_value, value_hash
from orchestrator.domain.calendar.feed import CalendarAddress
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import CALENDAR_ADDRESSES, USERS
from orchestrator.register_ports import Records, Register

READING = (Scope(actions=(Action.VIEW,), environment="*"),)
"""What can be done with the address: nothing but reading."""


@dataclass(frozen=True)
class NewCalendarAddress:
    """An *address* with its secret *text*, which is shown once and kept nowhere."""

    address: CalendarAddress
    text: str

    @property
    def path(self) -> str:
        """The path at the server."""
        return f"/calendars/{self.text}.ics"


@forwarded
def create_calendar_address(acting: Acting) -> NewCalendarAddress:
    """The address of the calendar of the actor. An earlier one ends. Raises A101, and A110 for no user."""
    text = secret_value(secrets.token_bytes(VALUE_BYTES))

    def work(task: Change) -> NewCalendarAddress:
        user = task.existing(USERS, acting.actor.name)
        task.require_giving(powers_of_scopes(READING))
        for earlier in task.records.all(CALENDAR_ADDRESSES, user.name):
            task.remove(CALENDAR_ADDRESSES, earlier, event="replace")
        made = CalendarAddress(sha256=value_hash(text), user=user.name, created_at=task.now.earliest)
        return NewCalendarAddress(task.put(CALENDAR_ADDRESSES, made, user=user.name), text)

    return change(acting, Action.MANAGE_TOKENS, work, owner=acting.actor.name)


@forwarded
def revoke_calendar_address(acting: Acting, user: str, *, reason: str = "") -> CalendarAddress:
    """Revoke the address of the calendar of *user* at once. Raises A110."""

    def work(task: Change) -> CalendarAddress:
        task.existing(USERS, user)
        found = task.records.all(CALENDAR_ADDRESSES, user)
        if not found:
            hint = "orchestrator calendar subscribe adds one"
            raise OrchestratorError("A110", f"{user} has no calendar address", hint=hint)
        for address in found:
            task.remove(CALENDAR_ADDRESSES, address, event="revoke", user=user)
        return found[0]

    return change(acting, Action.MANAGE_TOKENS, work, owner=user, reason=reason)


@forwarded
def calendar_address(acting: Acting) -> CalendarAddress | None:
    """The address of the calendar of the actor, without its secret; None without one."""

    def work(view: View) -> CalendarAddress | None:
        return next(iter(view.records.all(CALENDAR_ADDRESSES, acting.actor.name)), None)

    return read_register(acting, Action.VIEW, work)


def calendar_reader(register: Register, text: str) -> tuple[Actor, CalendarAddress] | None:
    """Who reads the calendar with the secret *text*, with nothing but the right to view; None if it is not valid."""
    if not VALUE.fullmatch(text):
        return None

    def work(records: Records) -> tuple[Actor, CalendarAddress] | None:
        found = records.get(CALENDAR_ADDRESSES, value_hash(text))
        user = Directory(access_of(records)).users.get(found.user) if found is not None else None
        if found is None or user is None or not user.is_active:
            return None
        return Actor(name=user.name, method=Method.TOKEN, credential="calendar", scopes=READING), found

    return register.reading(work)
