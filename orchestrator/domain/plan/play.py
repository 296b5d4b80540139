"""One run of a playbook or of a suite, and what check mode predicts of a playbook."""

from typing import Any

from pydantic import Field

from orchestrator.domain.gate import Flaky
from orchestrator.domain.model import Model
from orchestrator.domain.quantities import seconds
from orchestrator.domain.release_steps import Step


class PendingHandler(Model):
    """A handler that was notified on *host* and did not run. *play* is the place of its play in the playbook."""

    host: str
    play: int
    handler: str


class PlaySpec(Model):
    """One run of one playbook. Paths are below the package's `content/`; *limit* are the hosts it may touch.

    *pending* are the handlers of an earlier attempt that have to run in this one. No plan has any.
    """

    step: str
    playbook: str
    hosts: str
    limit: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    vars: dict[str, Any] = Field(default_factory=dict)
    extra_vars: dict[str, Any] = Field(default_factory=dict)
    timeout: float = 1800.0
    pending: tuple[PendingHandler, ...] = Field(default=(), exclude_if=lambda pending: not pending)


def play_of(step: Step, hosts: tuple[str, ...] = ()) -> PlaySpec:
    """A release's step as a play on *hosts*."""
    return PlaySpec(
        step=step.name,
        playbook=step.playbook,
        hosts=step.hosts,
        limit=hosts,
        tags=step.tags,
        skip_tags=step.skip_tags,
        vars=dict(step.vars),
        extra_vars=dict(step.extra_vars),
        timeout=seconds(step.timeout),
    )


class SuiteSpec(Model):
    """One run of one testinfra suite. *limit* are the hosts that it verifies (empty: all). *timeout* is in seconds.

    *flaky* is the rule by which a failure is repeated before it counts.
    """

    name: str
    tests: str
    limit: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    timeout: float = 600.0
    flaky: Flaky | None = None


class HostPreview(Model):
    """The prediction of check mode for one host: how many tasks would change something, and their names."""

    host: str
    changes: int
    tasks: tuple[str, ...] = ()


class StepPreview(Model):
    """The predictions of Ansible's check mode for one step: the changes of each host, and what it cannot predict.

    *opaque* are the tasks that do nothing in check mode. *failed* are those that fail in check mode before the step
    has really run. *unseen* names, in a sentence each, the hosts or the playbook that check mode did not reach. *diff*
    is the text that `--diff` printed, control characters removed.
    """

    hosts: tuple[HostPreview, ...] = ()
    previewed: int = 0
    opaque: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    diff: str = ""
