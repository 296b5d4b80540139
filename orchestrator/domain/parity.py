"""How two environments differ: in what defines them, in the shape of their inventories, on their hosts, in releases.

What is compared of one environment is its profile: names with a word for each, by kind. Values that are different by
nature (configuration, variables) are not part of it, but their names are.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from pydantic import Field

from orchestrator.domain.environment import Environment
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import Model
from orchestrator.domain.snapshot import Snapshot, ignored

KINDS = ("file", "config", "variable", "group", "hosts", "fact", "package", "release")
GATED = tuple(kind for kind in KINDS if kind != "release")
"""What a gate compares: that releases differ is why one is promoted."""
THERE = "there"


class Definition(Model):
    """What defines a stack, as far as it can be compared with another's: *files* of its program by their digests.

    Left out are the stack's own configuration, of which only the *config* keys count, and the project's name.
    """

    files: dict[str, str] = Field(default_factory=dict)
    config: tuple[str, ...] = ()


class EnvironmentProfile(Model):
    """The profile of one *environment* for comparison: for each of `KINDS`, names and what is known of them.

    *unknown* lists what could not be checked, one sentence each.
    """

    environment: str
    things: dict[str, dict[str, str]] = Field(default_factory=dict)
    unknown: tuple[str, ...] = ()


class ProfileDifference(Model):
    """One difference between both environments; a value is null if the environment does not have it."""

    kind: str
    name: str
    left: str | None
    right: str | None


class Parity(Model):
    """How the environments *left* and *right* differ: *differences* that are not allowed, and those that are.

    *unused* are what the allow-lists name and what no difference fits.
    """

    left: str
    right: str
    differences: tuple[ProfileDifference, ...] = ()
    allowed: tuple[ProfileDifference, ...] = ()
    unknown: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether everything was checked, and no differences, other than allowed ones."""
        return not self.differences and not self.unknown

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why they cannot be called alike, a sentence each."""
        return (*map(self.say, self.differences), *(f"unknown: {text}" for text in self.unknown))

    def say(self, item: ProfileDifference) -> str:
        """One difference as a sentence."""
        what = f"{item.kind} {item.name}"
        if item.left is None or item.right is None:
            return f"{what} is only in {self.right if item.left is None else self.left}"
        if item.kind == "file":
            return f"{what} differs"
        return f"{what}: {item.left} in {self.left}, {item.right} in {self.right}"


def profile_of(
    environment: Environment,
    definition: Definition | None,
    inventory: Inventory | None,
    seen: Snapshot,
    release: str,
    unknown: Iterable[str] = (),
) -> EnvironmentProfile:
    """The profile of *environment*; None means that it does not have this, or that it could not be checked."""
    names = {**dict.fromkeys(environment.vars, THERE), **dict.fromkeys(environment.ansible.extra_vars, THERE)}
    things: dict[str, dict[str, str]] = {"variable": names, "release": {"verified": release}}
    if definition is not None:
        things |= {"file": definition.files, "config": dict.fromkeys(definition.config, THERE)}
    if inventory is not None:
        things["variable"] = {**names, **_variables(inventory)}
        things["group"] = dict.fromkeys(inventory.groups, THERE)
        counts = {"all": len(inventory.hosts), **{name: len(inventory.members(name)) for name in inventory.groups}}
        things["hosts"] = {name: str(count) for name, count in counts.items()}
    if inventory is not None:
        ignore = environment.snapshot.ignore
        things["fact"] = _gathered("fact", (found.facts for found in seen.hosts.values()), ignore)
        things["package"] = _gathered("package", (found.packages for found in seen.hosts.values()), ignore)
    return EnvironmentProfile(environment=environment.name, things=things, unknown=(*unknown, *seen.gaps))


def _variables(inventory: Inventory) -> dict[str, str]:
    """The names of variables, by the groups whose own or whose hosts' they are."""
    found = {f"{name}.{key}": THERE for name, group in inventory.groups.items() for key in group.vars}
    for name in [*inventory.groups, "ungrouped"]:
        for host in inventory.members(name):
            found |= {f"{name}.{key}": THERE for key in inventory.hosts[host]}
    return found


def _gathered(kind: str, hosts: Iterable[Mapping[str, str]], ignore: tuple[str, ...]) -> dict[str, str]:
    """Each name with all that hosts report of it."""
    found: dict[str, set[str]] = {}
    for host in hosts:
        for name, value in host.items():
            if not ignored(ignore, kind, name):
                found.setdefault(name, set()).add(value)
    return {name: ", ".join(sorted(values)) for name, values in sorted(found.items())}


def compare_profiles(
    left: EnvironmentProfile, right: EnvironmentProfile, allow: Iterable[str] = (), kinds: Iterable[str] = KINDS
) -> Parity:
    """How two portraits differ in *kinds*. *allow* are patterns `KIND:NAME`, or a KIND for all of it."""
    patterns = tuple(dict.fromkeys(allow))
    differences, allowed, used = list[ProfileDifference](), list[ProfileDifference](), set[str]()
    for item in _differences(left, right, kinds):
        fitting = [pattern for pattern in patterns if _means(pattern, item)]
        used |= set(fitting)
        (allowed if fitting else differences).append(item)
    unknown = [f"{portrait.environment}: {text}" for portrait in (left, right) for text in portrait.unknown]
    return Parity(
        left=left.environment,
        right=right.environment,
        differences=tuple(differences),
        allowed=tuple(allowed),
        unknown=tuple(dict.fromkeys(unknown)),
        unused=tuple(pattern for pattern in patterns if pattern not in used),
    )


def _differences(left: EnvironmentProfile, right: EnvironmentProfile, kinds: Iterable[str]) -> list[ProfileDifference]:
    found = []
    for kind in kinds:
        one, two = left.things.get(kind), right.things.get(kind)
        if one is None or two is None:
            continue  # not compared, or unknown: the profile lists that itself
        names = set(one) & set(two) if kind == "hosts" else set(one) | set(two)  # a missing group is reported as such
        found += [
            ProfileDifference(kind=kind, name=name, left=one.get(name), right=two.get(name))
            for name in sorted(names)
            if one.get(name) != two.get(name)
        ]
    return found


def _means(pattern: str, item: ProfileDifference) -> bool:
    kind, colon, name = pattern.partition(":")
    return kind == item.kind and (not colon or fnmatchcase(item.name, name))
