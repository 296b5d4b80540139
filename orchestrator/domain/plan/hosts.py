"""The state of one host: its release, who reported it, and its side."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from orchestrator.domain.model import Model
from orchestrator.domain.release import PackageRef
from orchestrator.domain.sides import Side

Truth = Literal["seen", "assumed", "changing", "unknown", "empty", "gone"]
SILENT = "nothing"
"""What `HostState.serves` is when the health check of a host's service printed nothing, or failed."""


class HostState(Model):
    """The state of one host: its package, since when, by which run, and whether the host itself reported it.

    *truth* is `seen` (the host reported it), `assumed` (an ordinary playbook succeeded on it, or an operator declared
    it) or `changing` (a step may be changing it). It is `unknown` if the host could not be inspected, `empty` if no
    release was ever deployed to it, and `gone` if the environment no longer has this host. *before* is the state of a
    changing host before the step started. *serves* is the version that its service reported at the last observation;
    empty without a query. *side* is its side at the last switch of the environment. It is now the live or the standby
    side, or *switch_uncertain* if that switch was started and its end is unknown.
    """

    host: str
    truth: Truth
    release: PackageRef | None = None
    since: str | None = None
    run: str | None = None
    serves: str = ""
    before: "HostState | None" = Field(default=None, exclude_if=lambda before: before is None)
    side: Side | None = Field(default=None, exclude_if=lambda side: side is None)
    is_standby: bool = Field(default=False, exclude_if=lambda yes: not yes)
    switch_uncertain: bool = Field(default=False, exclude_if=lambda yes: not yes)

    @property
    def differs(self) -> bool:
        """Whether its service reports another version than that of the release on it."""
        known = self.release is not None and self.release.name != "unknown"
        return bool(known and self.serves and self.release and self.serves != self.release.version)

    @property
    def digest(self) -> str | None:
        """The digest of the package on it."""
        return self.release.digest if self.release else None

    def runs(self, digest: str) -> bool:
        """Whether the package with this digest is known, or at least assumed, to run on it."""
        return self.truth in {"seen", "assumed"} and self.digest == digest and not self.differs

    def is_other_standby(self, digest: str) -> bool:
        """Whether it is a standby host with another release than the package with this digest, as it should."""
        return self.is_standby and not self.runs(digest)

    def changed_by(self, run: str) -> "HostState":
        """This host while a step of *run* may change it. What was known of it is kept in *before*."""
        return HostState(
            host=self.host, truth="changing", release=self.release, run=run, before=self.before or self
        ).on_side_of(self)

    @property
    def settled(self) -> "HostState":
        """This state, or *unknown* for a host that a step started to change and did not finish."""
        return self.model_copy(update={"truth": "unknown", "before": None}) if self.truth == "changing" else self

    def on_side_of(self, other: "HostState | None") -> "HostState":
        """This state, on the side that *other* has. Only a switch changes the side."""
        if other is None:
            return self.model_copy(update={"side": None, "is_standby": False, "switch_uncertain": False})
        return self.model_copy(
            update={"side": other.side, "is_standby": other.is_standby, "switch_uncertain": other.switch_uncertain}
        )


def after_switch(states: Iterable[HostState], switched: Mapping[str, Any], at: str) -> list[HostState]:
    """The state of an environment's hosts (before: *states*) after the entry `switched` with the data *switched*."""
    known = {state.host: state for state in states}
    sides = {host: side for side, hosts in switched["sides"].items() for host in hosts}
    for host in sides:
        known.setdefault(host, HostState(host=host, truth="empty", since=at))
    return [
        state.model_copy(
            update={
                "side": sides.get(host),
                "is_standby": host in sides and switched["live"] is not None and sides[host] != switched["live"],
                "switch_uncertain": host in sides and bool(switched["switch_uncertain"]),
            }
        )
        for host, state in known.items()
    ]
