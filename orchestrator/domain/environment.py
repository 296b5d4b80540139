"""A place that releases go to (`environment.yaml`), and the project around it (`orchestrator.yaml`)."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from orchestrator.domain.access.providers import SignInRules
from orchestrator.domain.access.tokens import TokenRules
from orchestrator.domain.approval.policy import Approvals, PolicyRule
from orchestrator.domain.calendar.entries import CalendarEntry
from orchestrator.domain.configuration import TRANSPORT
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import EnvironmentName, Gate, Origin, Probe, distinct
from orchestrator.domain.model import Model, Name, RelativePath, text_schema
from orchestrator.domain.packing import Packing
from orchestrator.domain.quantities import Duration
from orchestrator.domain.retention import Retention
from orchestrator.domain.sides import Side
from orchestrator.domain.text import nearest
from orchestrator.domain.waves import Waves

DECLARED = r"^(?!/+$)(?!(?:[\s\S]*/)?\.\.(?:/|$))[^\u0000-\u001f]+$"
PUSHED = "pushed"
"""The value of `definition:` in a folder whose servers and workers use what `orchestrator project push` has sent."""
ALLOWED = r"^(file|config|variable|group|hosts|fact|package|release)(:[^\u0000-\u001f]+)?$"


def _transport(name: str) -> str:
    if name not in TRANSPORT:
        raise ValueError(f"{name!r} is not a transport setting; these are: {', '.join(sorted(TRANSPORT))}")
    return name


TransportName = Annotated[
    str, AfterValidator(_transport), WithJsonSchema({"type": "string", "enum": sorted(TRANSPORT)})
]
"""The name of a transport setting of Ansible."""


VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
"""The name of a variable of a process's environment."""


def _declared(path: str) -> str:
    if not re.match(DECLARED, path):
        raise ValueError("must be a path without '..', and not the root of the machine")
    return path


DeclaredPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    AfterValidator(_declared),
    WithJsonSchema(text_schema(DECLARED, minLength=1, maxLength=1024)),
]
"""A path of the controller: absolute, below the home folder, or relative to the project."""


class InventoryGroup(Model):
    """A group mapped from Pulumi outputs.

    *hosts* is a Jinja expression over `outputs` (or plain text) that gives a list of addresses, a list of
    mappings with `name`, or a mapping name → variables. *vars* may hold templates over `outputs` too.
    """

    hosts: str | tuple[str, ...]
    vars: dict[str, Any] = Field(default_factory=dict)


class InventorySource(Model):
    """The source of an environment's hosts (default: the Pulumi output `ansible_inventory` or `inventory`).

    *output* names another output. *groups* maps outputs to groups. *files* are the user's own inventories
    (files, folders, scripts or plugin files, relative to the project). They may be combined. *templates* is whether
    Ansible evaluates templates in variables that come from outputs; by default they are text.
    """

    output: str | None = None
    groups: dict[str, InventoryGroup] = Field(default_factory=dict)
    files: tuple[RelativePath, ...] = ()
    templates: bool = Field(default=False, exclude_if=lambda evaluated: not evaluated)


class AnsibleSettings(Model):
    """How Ansible is run in an environment.

    *transport* are transport settings by their names in `ansible.cfg`; they come before those of the
    project. *config* is the `ansible.cfg` that counts for the hosts of the environment, relative to the project.
    *environment* names variables of the controller for Ansible and suites.
    *ledger* is whether hosts record a fence and the steps of ordinary playbooks. *serves* is a command for a host's
    shell, with the host's variables as templates. Its first word of output is the version of the running service.
    *unresponsive* is how long a host may send nothing over its connection before the connection is given up.
    """

    forks: int | None = Field(default=None, ge=1, le=1000)
    strategy: str | None = None
    vault_ids: tuple[str, ...] = ()
    extra_vars: dict[str, Any] = Field(default_factory=dict)
    environment: tuple[str, ...] = ()
    verbosity: int = Field(default=0, ge=0, le=5)
    host_key_checking: bool = True
    ledger: bool = True
    unresponsive: Duration = Field(default="30s", exclude_if=lambda time: time == "30s")
    serves: Annotated[str, StringConstraints(pattern=r"^[^\r\n]+$", max_length=2000)] | None = None
    transport: dict[TransportName, str | int | bool] = Field(default_factory=dict, exclude_if=lambda own: not own)
    config: RelativePath | None = Field(default=None, exclude_if=lambda path: path is None)


class IsolationRule(Model):
    """What isolated processes of an environment have besides what they are given.

    *read* are files, folders and sockets of the controller: absolute, below the home folder (`~/`), or relative to the
    project. *write* are those that they may change as well. *environment* names variables of the controller.
    """

    read: tuple[DeclaredPath, ...] = ()
    write: tuple[DeclaredPath, ...] = Field(default=(), exclude_if=lambda paths: not paths)
    environment: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=256)], ...] = ()


class EnvironmentSettings(AnsibleSettings):
    """The settings of Ansible in an environment, with what its isolated processes may have besides."""

    isolation: IsolationRule = Field(default_factory=IsolationRule)


class StatefulRule(Model):
    """Resources with data that cannot be created again, by patterns (`*`, `?`) of their *type* and *name*.

    A matching component includes all its children.
    """

    type: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    name: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.type is None and self.name is None:
            raise ValueError("must have a type or a name")
        return self

    def fits(self, kind: str, name: str) -> bool:
        """Whether a resource of the type *kind* called *name* is meant."""
        return fnmatchcase(kind, self.type or "*") and fnmatchcase(name, self.name or "*")

    def __str__(self) -> str:
        return " and ".join(f"{key} {value}" for key, value in (("type", self.type), ("name", self.name)) if value)


class PulumiSettings(Model):
    """How Pulumi is run in an environment. *config* overrides `Pulumi.<stack>.yaml` without writing to it.

    *pending_creates* decides about resources whose create was interrupted. `ask` stops until an operator has resolved
    them; `clear` creates them again, for providers whose create finds existing resources. *stateful* defines which
    resources no rollback replaces or deletes, and a promotion only if they are named. *reads* are the files and
    folders outside the program's own folder that the program reads (default: those that its text names).
    """

    config: dict[str, str] = Field(default_factory=dict)
    refresh: bool = False
    parallel: int | None = Field(default=None, ge=1)
    environment: tuple[str, ...] = ()
    reads: tuple[RelativePath, ...] | None = Field(default=None, exclude_if=lambda reads: reads is None)
    pending_creates: Literal["ask", "clear"] = "ask"
    stateful: tuple[StatefulRule, ...] = ()


class RollbackRule(Model):
    """Whether a failed promotion is rolled back automatically."""

    automatic: bool = True


class Ephemeral(Model):
    """An environment that is created for each promotion and destroyed after it.

    *ttl* is the maximum lifetime of its stack, whatever happens to its run. *per* `release` gives each release a
    stack of its own. *keep_on_failure* keeps the stack of a failed promotion until then, for inspection.
    """

    ttl: Duration = "4h"
    per: Literal["environment", "release"] = "environment"
    keep_on_failure: bool = False


class StackSides(Model):
    """The two stacks of an environment's program that are its sides: a release updates the one that is not live."""

    blue: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    green: Annotated[str, StringConstraints(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.blue == self.green:
            raise ValueError("has one stack on both sides")
        return self

    def of(self, side: Side) -> str:
        """The stack of *side*."""
        return self.blue if side == "blue" else self.green


class QueueRule(Model):
    """What becomes of a run that waits for the environment when a newer release of the same name joins it."""

    supersede: bool = True


class PromoteAfter(Model):
    """The time that has to pass before a release is promoted: since it was *verified* in the previous environment."""

    verified: Duration


class Requirements(Model):
    """The conditions for a promotion into the environment.

    *no_drift*: no changes since the last release. *parity*: no differences but allowed ones from the environment that
    `parity` names (default: the previous one). *rehearsal*: good evidence that the rollback was rehearsed.
    """

    no_drift: bool = False
    parity: bool = False
    rehearsal: bool = False


class ParityRule(Model):
    """Which environment this one is to be like, and in what it may differ: `KIND:NAME` with `*`, or a whole KIND."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    with_: Name = Field(alias="with")
    allow: tuple[Annotated[str, StringConstraints(pattern=ALLOWED, max_length=1024)], ...] = ()


class SnapshotRule(Model):
    """The content of snapshots of hosts besides the release root, and what comparisons exclude.

    *files* are further files and folders, by absolute path. *ignore* are patterns of files (`*.log`, `etc/cache`),
    or of another kind (`port:udp/*`, `package:linux-*`, `service:cron*`, `fact:user:*`). *sysctl* are
    kernel settings, by name.
    """

    files: tuple[Annotated[str, StringConstraints(pattern=r"^/[^{}\u0000-\u001f]*$", max_length=1024)], ...] = ()
    ignore: tuple[Annotated[str, StringConstraints(pattern=r"^[^{}\u0000-\u001f]+$", max_length=1024)], ...] = ()
    sysctl: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]+$", max_length=256)], ...] = ()


class ControllerFile(Model):
    """A file or folder that playbooks write on the controller; *secret* is whether its content is masked."""

    path: RelativePath
    secret: bool = False


def _without_suites(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    if any(gate.tests is not None for gate in gates):
        raise ValueError("has a suite: suites come with a release, in its package")
    return distinct(gates)


class Environment(Model):
    """`environment.yaml`. *program* is the Pulumi project's folder, relative to this file's folder.

    *gates* are checked in addition to those of a release, whenever a canary is observed and in every watch. *probe*
    replaces the release's. *controller_files* are files and folders, relative to the project, that playbooks write on
    the controller and find again: they are kept for the environment. *secrets* names variables of the controller whose
    values are masked in everything that is written or shown. *preview* is whether `plan` runs the playbooks in
    Ansible's check mode, on the hosts and with the credentials of this environment. *credentials* names variables of
    the controller with the servers to which the gates of releases may show them. *isolation* is what isolated
    processes have besides what they are given. *promote* `automatic` promotes the newest release that was verified in
    the previous environment, as soon as *promote_after* and every other condition allow it. *depends_on* names
    environments that this one needs, such as a shared database: a booking of this one covers them.
    """

    apiVersion: Literal["orchestrator/v1"]
    kind: Literal["Environment"]
    name: Name
    description: str = ""
    program: RelativePath | None = "."
    stack: str | None = None
    after: Name | None = None
    inventory: InventorySource = InventorySource()
    ansible: AnsibleSettings = AnsibleSettings()
    pulumi: PulumiSettings = PulumiSettings()
    vars: dict[str, Any] = Field(default_factory=dict)
    rollback: RollbackRule = RollbackRule()
    queue: QueueRule = QueueRule()
    ephemeral: Ephemeral | None = None
    sides: StackSides | None = Field(default=None, exclude_if=lambda sides: sides is None)
    snapshot: SnapshotRule = Field(default_factory=SnapshotRule, exclude_if=lambda rule: rule == SnapshotRule())
    rehearse: bool = Field(default=False, exclude_if=lambda wanted: not wanted)
    require: Requirements = Field(default_factory=Requirements, exclude_if=lambda rule: rule == Requirements())
    parity: ParityRule | None = Field(default=None, exclude_if=lambda rule: rule is None)
    gates: Annotated[tuple[Gate, ...], AfterValidator(_without_suites)] = Field(
        default=(), exclude_if=lambda gates: not gates
    )
    probe: Probe | None = Field(default=None, exclude_if=lambda probe: probe is None)
    controller_files: tuple[RelativePath | ControllerFile, ...] = Field(default=(), exclude_if=lambda paths: not paths)
    secrets: tuple[VariableName, ...] = Field(default=(), exclude_if=lambda names: not names)
    preview: Literal["check", "none"] = Field(default="check", exclude_if=lambda how: how == "check")
    credentials: dict[EnvironmentName, Annotated[tuple[Origin, ...], Field(min_length=1)]] = Field(
        default_factory=dict, exclude_if=lambda named: not named
    )
    isolation: IsolationRule = Field(default_factory=IsolationRule, exclude_if=lambda rule: rule == IsolationRule())
    approvals: Approvals | None = None
    windows: tuple[CalendarEntry, ...] = ()
    promote_after: PromoteAfter | None = Field(default=None, exclude_if=lambda rule: rule is None)
    depends_on: tuple[Name, ...] = Field(default=(), exclude_if=lambda names: not names)
    promote: Literal["manual", "automatic"] = Field(default="manual", exclude_if=lambda how: how == "manual")

    @property
    def settings(self) -> EnvironmentSettings:
        """The settings of processes: the declared variables of the isolation are variables of Ansible as well."""
        names = tuple(dict.fromkeys([*self.ansible.environment, *self.isolation.environment]))
        return EnvironmentSettings(**{**dict(self.ansible), "environment": names, "isolation": self.isolation})

    @model_validator(mode="after")
    def _can_be_made(self) -> Self:
        if self.ephemeral is not None and self.program is None:
            raise ValueError("is ephemeral, and has no Pulumi program that could make it")
        if self.sides is not None and (self.program is None or self.ephemeral is not None):
            raise ValueError("has sides: these are stacks of a Pulumi program, and are not made for one promotion only")
        if self.after is None and (self.promote_after is not None or self.promote == "automatic"):
            raise ValueError("promotes after a verification in the environment before, and `after` names none")
        return self

    @property
    def kept_paths(self) -> tuple[str, ...]:
        """The paths of the controller files."""
        return tuple(item if isinstance(item, str) else item.path for item in self.controller_files)

    @property
    def secret_paths(self) -> tuple[str, ...]:
        """The paths of the controller files whose content is secret."""
        return tuple(item.path for item in self.controller_files if isinstance(item, ControllerFile) and item.secret)


class Project(Model):
    """`orchestrator.yaml`. *store* is a database URL; `sqlite:///` paths are relative to the project.

    *artifacts* is the store that several machines share: a folder, or `s3://bucket/prefix`.
    *recovery* is whether a command that acts resumes interrupted runs in the background. *waves* are named lists of
    waves over several environments. *package* defines what packages contain. *isolation* is whether
    processes that run code of a package are isolated: with `auto` where the machine can do it, with `required` always.
    *retention* is what `prune` removes. *tokens* are the rules for tokens of users. *sign_in* are the
    providers with which users sign in at a server. *policy* are rules of what a promotion needs, by package,
    environment, risk and kind of change. With *definition* `pushed` the folder has no other files of the project: its
    servers and workers use the definition that was pushed.
    """

    apiVersion: Literal["orchestrator/v1"]
    kind: Literal["Project"]
    name: Name
    description: str = ""
    store: str = "sqlite:///.orchestrator/state.db"
    artifacts: str | None = None
    environments: RelativePath = "environments"
    releases: RelativePath = "releases"
    recovery: Literal["automatic", "manual"] = "automatic"
    waves: tuple[Waves, ...] = Field(default=(), exclude_if=lambda waves: not waves)
    package: Packing = Field(default_factory=Packing, exclude_if=lambda rule: rule == Packing())
    isolation: Literal["required", "auto", "off"] = Field(default="auto", exclude_if=lambda how: how == "auto")
    retention: Retention = Field(default_factory=Retention, exclude_if=lambda rule: rule == Retention())
    people: tuple[dict[str, Any], ...] = ()
    tokens: TokenRules = Field(default_factory=TokenRules, exclude_if=lambda rule: rule == TokenRules())
    sign_in: SignInRules = Field(default_factory=SignInRules, exclude_if=lambda rule: rule == SignInRules())
    policy: tuple[PolicyRule, ...] = Field(default=(), exclude_if=lambda rules: not rules)
    definition: Literal["folder", "pushed"] = Field(default="folder", exclude_if=lambda where: where == "folder")


def unknown_environment(name: str, known: Iterable[str]) -> OrchestratorError:
    """The error R103 for a *name* that is not among the *known* environments."""
    names = list(known)
    close = nearest(name, names)
    text = f"there is no environment {name!r} (there are: {', '.join(names) or 'none'})"
    return OrchestratorError("R103", text, hint=close if close.startswith("did") else None)
