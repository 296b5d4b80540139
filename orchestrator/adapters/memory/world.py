"""A small world in memory: stacks, hosts and what runs on them, with the four engines acting on it.

For tests, dry runs and the tutorial. It keeps the contracts of the ports, and a ledger of every effect; faults are
put into it by hand: `world.faults.add(("deploy", "web2", "1.2.0"))` makes that release fail on that host.
"""

from dataclasses import dataclass, field

from orchestrator.domain.configuration import Configuration
from orchestrator.domain.credentials import MissingCredential


@dataclass
class World:
    """The state of the world.

    *stacks* are the hosts that each environment's stack declares, *up* those that it has. *running* maps environment
    and host to a package digest. *faults* are triples of a verb (`up`, `deploy`, `refuse`, `verify`, `gate`, `need`), a
    host (or stack, or gate), a version; an inspection or gate that *passing* has as well fails for so many times.
    *deaf* are gates that do not respond, *probes* the keys of the probes that run. *gone* are hosts that cannot be
    reached; *silent* names hosts that do not report their release; *serves* is the version that the services of others
    report. *killed* is how often an update to a definition dies before it starts. *wanted* are the protections that
    their program declares for hosts: `protect` or `retainOnDelete`. *ledger* lists every effect in order. *fences* and
    *done* are what each host remembers: the newest fence, and the steps of runs that it has come through. *files* are
    what lies on each host besides its release, by name; *leaves* names the file that a version puts beside it and that
    nothing takes away again. *edited* are hosts whose resource was changed by hand. *routed* maps environments and
    their routers to the hosts that they lead to since sides were last switched; a fault of the verb `switch` names a
    side, one of `retire` a host. *sided* are stacks that are sides: each has hosts of its own. *replaced* are hosts
    that each update makes anew, with nothing on them. *given* is what the last play on each host was given as
    variables: the hosts of the stack. *answers* are what hosts answer to an inspection instead, as text. *measured* are
    the lines of hosts that measure requirements, and *reports* what hosts report after a play. *uninspected* is why a
    host inspection fails as a whole. *configuration* are the settings of the plays, *unused_settings* those that they
    are not given. *missing* are credentials that are not on this machine. *secrets* are secret outputs of every stack.
    *plans* are the implementation plans that runs have started, by the run and the step: the id, the template, and the
    version. Those of the templates *waiting* have not ended, and *aborted_plans* has the reasons of others.
    """

    stacks: dict[str, list[str]] = field(default_factory=dict)
    up: dict[str, list[str]] = field(default_factory=dict)
    running: dict[tuple[str, str], str] = field(default_factory=dict)
    faults: set[tuple[str, str, str]] = field(default_factory=set)
    passing: dict[tuple[str, str, str], int] = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)
    probes: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    serves: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    measured: dict[str, str] = field(default_factory=dict)
    reports: dict[str, object] = field(default_factory=dict)
    killed: dict[str, int] = field(default_factory=dict)
    wanted: dict[str, str] = field(default_factory=dict)
    ledger: list[str] = field(default_factory=list)
    fences: dict[tuple[str, str], int] = field(default_factory=dict)
    done: set[tuple[str, str, str, str]] = field(default_factory=set)
    serial: dict[str, int] = field(default_factory=dict)
    kept: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    files: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    leaves: dict[str, str] = field(default_factory=dict)
    edited: set[str] = field(default_factory=set)
    routed: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    sided: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    plans: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    aborted_plans: dict[str, str] = field(default_factory=dict)
    uninspected: str = ""
    configuration: Configuration | None = None
    unused_settings: tuple[str, ...] = ()
    missing: tuple[MissingCredential, ...] = ()
    secrets: dict[str, str] = field(default_factory=dict)
    given: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def releases(self, environment: str) -> list[str | None]:
        """What runs on each host of the environment, in order."""
        return [self.running.get((environment, host)) for host in self.up.get(environment, [])]

    def fails(self, verb: str, what: str, version: str) -> bool:
        """Whether this check fails. A check that passes after some failures is counted."""
        fault = verb, what, version
        if fault not in self.faults:
            return False
        if fault in self.passing:
            self.passing[fault] -= 1
            return self.passing[fault] >= 0
        return True
