"""Who acts: the owner of the token in ORCHESTRATOR_TOKEN, otherwise the user of this machine."""

from collections.abc import Mapping
from datetime import timedelta

from orchestrator.app.acting import access_of
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.access.tokens import Token, authenticates, token_prefix
from orchestrator.domain.audit.chain import record_by
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now, parse_moment
from orchestrator.domain.register import TOKENS
from orchestrator.ports import Clock
from orchestrator.register_ports import Changes, Register

VARIABLE = "ORCHESTRATOR_TOKEN"  # the name of a variable, not a secret
USE_EVERY = timedelta(hours=1)
"""How often the use of a token is recorded at most."""


def current_actor(register: Register, environ: Mapping[str, str], local: str, clock: Clock) -> Actor:
    """The actor of this process. *local* is the name of the user of this machine. Raises A108.

    A token that is set and not valid is an error: it is never replaced by the local user.
    """
    text = environ.get(VARIABLE)
    if text is None:
        user = register.reading(lambda records: Directory(access_of(records)).user_of(local))
        return Actor(name=user.name if user else local)
    return token_actor(register, text.strip(), clock)


def token_actor(register: Register, text: str, clock: Clock, called: str = VARIABLE) -> Actor:
    """The owner of the token *text*, whose use is recorded. Errors name it as *called*. Raises A108."""
    prefix, now = token_prefix(text), Now.at(clock.now())
    token = register.reading(lambda records: records.get(TOKENS, prefix)) if prefix else None
    if token is None:
        raise OrchestratorError("A108", f"{called} is not a token of this project")
    if not authenticates(token, text, now):
        state = token.state(now).value if not token.is_valid(now) else "not the one that was created"
        raise OrchestratorError("A108", f"the token {token.prefix} of {token.owner} is {state}")
    if token.last_used_at is None or now.has_reached(token.last_used_at + USE_EVERY):
        register.changing(str(token.actor()), lambda records: _record_use(records, register.project, token, clock))
    return token.actor()


def _record_use(records: Changes, project: str, token: Token, clock: Clock) -> None:
    at = parse_moment(clock.now())
    current = records.get(TOKENS, token.prefix) or token
    records.put(TOKENS, current.model_copy(update={"last_used_at": at}))
    used = record_by(token.actor(), project=project, at=at, action="token:use", object=f"token:{token.prefix}")
    records.record(used)
