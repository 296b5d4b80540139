"""`orchestrator observe`: read the current releases of the hosts of an environment."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.output import environment_argument, json_option, out, print_json, wait_option
from orchestrator.domain.fencing import HIGHEST

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.domain.plan import HostState


@click.command("observe")
@environment_argument()
@click.option(
    "--accept-token",
    "token",
    type=click.IntRange(1, HIGHEST),
    metavar="N",
    help="Take over fencing tokens of hosts up to N, after an older store was restored.",
)
@wait_option
@json_option
def command(environment: str, token: int | None, wait: float, as_json: bool) -> int:
    """Inspect which release every host of ENVIRONMENT runs, and record the result.

    A host that does not respond is *unknown* from then on; the command then ends with 1. If the environment declares
    `ansible: {serves: ...}`, the version of the running service is queried as well.
    Nothing is changed on the hosts. If their ledgers are newer than the journal, for example after a restore, their
    reports are recorded. A host that is more than 1000 fencing tokens ahead is *unknown* unless --accept-token
    confirms it.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.app.requests import Observe
    from orchestrator.cli.commands.status import environment_status, print_environment
    from orchestrator.cli.execution import execute, exit_of
    from orchestrator.cli.recovery import recover
    from orchestrator.cli.words import release_of

    app = open_application(Path.cwd())
    recover(app)
    app.require_environment(environment)
    before = _recorded(app, environment)  # before the request: a worker may be quick
    submitted = app.submissions.submit(app.actor, Observe(targets=(environment,), wait=wait, token=token))
    code = exit_of(execute(app, app.actor, submitted))
    after = app.queries.hosts(app.actor, environment)
    changed = {}
    for state in after:
        old = before.get(state.host)
        if old is None or _known(old) != _known(state):
            was = f"{release_of(old)} ({old.truth})" if old else "not known"
            changed[state.host] = f"was {was}, is {release_of(state)} ({state.truth})"
    if as_json:
        status = environment_status(app, environment)
        print_json("Observed", {"root": submitted.root, "exit": int(code), "changed": changed, "environment": status})
        return int(code)
    print_environment(app.queries.facts(app.actor, environment))
    for host, text in changed.items():
        out(f"  {host}: {text}")
    if after and app.environments[environment][0].ansible.serves is None:
        out("  processes were not checked: set ansible.serves in environment.yaml")
    if not changed and not code:
        out("  no changes since the last observation")
    return int(code)


def _recorded(app: "Application", environment: str) -> dict[str, "HostState"]:
    """The hosts as they are recorded; none for a user who may not observe, whose request is then refused."""
    from orchestrator.app.access import Question, can_i
    from orchestrator.domain.access.actions import Action

    if not can_i(app.acting, Question(action=Action.OBSERVE, environment=environment)).allowed:
        return {}
    return {state.host: state for state in app.queries.hosts(app.actor, environment)}


def _known(state: "HostState") -> tuple[object, ...]:
    """The part of a host's state whose change is shown."""
    return state.truth, state.digest, state.differs
