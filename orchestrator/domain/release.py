"""A release as its author writes it (`release.yaml`), and the sealed package that is built from it."""

import posixpath
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from orchestrator.domain.gate import Canary, Flaky, Gate, Probe, distinct
from orchestrator.domain.model import Digest, Model, Name, RelativePath, digest_of
from orchestrator.domain.packing import ReleasePacking
from orchestrator.domain.quantities import Duration
from orchestrator.domain.release_steps import UNDO_WORDS, AnyStep, ImplementationStep, Step, Variables
from orchestrator.domain.requirements.model import Requirement
from orchestrator.domain.sides import BlueGreen
from orchestrator.domain.stored_words import MANIFEST, read_manifest

Area = Literal["artifacts", "collection", "content", "requirements"]
"""A part of a package: the project's tree, or what is packed beside it."""

VERSION = r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$"


Version = Annotated[str, StringConstraints(pattern=VERSION)]


class Artifact(Model):
    """A file that is put into the package. *name* is what playbooks call it; by default the file's own name.

    *unpack* is whether the collection unpacks it on hosts; by default if it is a tar or zip archive other than `.jar`,
    `.pyz`, `.war` and `.whl`.
    """

    path: RelativePath
    name: str | None = None
    unpack: bool | None = Field(default=None, exclude_if=lambda wanted: wanted is None)

    @property
    def file_name(self) -> str:
        """The name under which playbooks find it."""
        return self.name or self.path.rsplit("/", 1)[-1]


class Verification(Model):
    """A testinfra suite. *tests* is a folder or file; *args* are further pytest arguments.

    *flaky* is the rule by which a failure is repeated before it counts; by default it counts at once.
    """

    name: Name
    tests: RelativePath
    timeout: Duration = "10m"
    args: tuple[str, ...] = ()
    flaky: Flaky | None = Field(default=None, exclude_if=lambda rule: rule is None)


class Watch(Model):
    """How long, and how often, the suite runs and the gates are checked after the promotion.

    *flaky* is the rule by which a failure of any of them is repeated before it counts.
    """

    duration: Duration = Field(alias="for")
    every: Duration = "30s"
    gates: tuple[Gate, ...] = Field(default=(), exclude_if=lambda gates: not gates)
    flaky: Flaky | None = Field(default=None, exclude_if=lambda rule: rule is None)
    tests: RelativePath | None = Field(default=None, validate_default=True)

    @field_validator("gates")
    @classmethod
    def _with_names_of_their_own(cls, gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
        return distinct(gates)

    @field_validator("tests")
    @classmethod
    def _something_to_look_at(cls, tests: str | None, info: ValidationInfo) -> str | None:
        if tests is None and not info.data.get("gates"):
            raise ValueError("is required unless gates are declared: a watch without both checks nothing")
        return tests


class Release(Model):
    """`release.yaml`: the content, environments, steps and tests of a release.

    *rehearse*: the release is rehearsed in its first environment before it stays.
    """

    apiVersion: Literal["orchestrator/v1"]
    kind: Literal["Release"]
    name: Name
    version: Version
    description: str = ""
    artifacts: tuple[Artifact, ...] = ()
    environments: tuple[Name, ...] = Field(min_length=1)
    requirements: tuple[Requirement, ...] = ()
    vars: Variables = Field(default_factory=dict)
    steps: tuple[AnyStep, ...] = Field(min_length=1)
    verify: tuple[Verification, ...] = Field(min_length=1)
    watch: Watch | None = None
    probe: Probe | None = Field(default=None, exclude_if=lambda probe: probe is None)
    include: tuple[RelativePath, ...] = ()
    rehearse: bool = Field(default=False, exclude_if=lambda wanted: not wanted)
    package: ReleasePacking = Field(default_factory=ReleasePacking, exclude_if=lambda rule: rule == ReleasePacking())

    @field_validator("steps")
    @classmethod
    def _with_the_same_sides(cls, steps: tuple[AnyStep, ...]) -> tuple[AnyStep, ...]:
        found = [step for step in steps if isinstance(step, Step) and step.rollout.blue_green is not None]
        strange = next((step for step in found if step.rollout.blue_green != found[0].rollout.blue_green), None)
        if strange is not None:
            names = f"{found[0].name} and {strange.name}"
            raise ValueError(f"{names} have different blue_green: there is one switch, after the last of them")
        return steps

    @field_validator("steps")
    @classmethod
    def _with_a_playbook(cls, steps: tuple[AnyStep, ...]) -> tuple[AnyStep, ...]:
        if not any(isinstance(step, Step) for step in steps):
            raise ValueError("have no playbook: a release is put on hosts by at least one step with a playbook")
        return steps

    @property
    def playbook_steps(self) -> tuple[Step, ...]:
        """The steps with a playbook."""
        return tuple(step for step in self.steps if isinstance(step, Step))

    @property
    def implementation_steps(self) -> tuple[ImplementationStep, ...]:
        """The steps with an implementation plan."""
        return tuple(step for step in self.steps if isinstance(step, ImplementationStep))

    @property
    def blue_green(self) -> BlueGreen | None:
        """The sides of its steps with that strategy, which are the same for all of them; None: it has no such step."""
        found = (step.rollout.blue_green for step in self.playbook_steps)
        return next((sides for sides in found if sides is not None), None)

    def gates(self) -> tuple[Gate, ...]:
        """Every gate: of canaries, of the observation of a side, and of the watch."""
        looks: list[Canary | BlueGreen]
        looks = [step.rollout.canary for step in self.playbook_steps if step.rollout.canary is not None]
        looks += [self.blue_green] if self.blue_green is not None else []
        watched = self.watch.gates if self.watch is not None else ()
        return (*(gate for look in looks for gate in look.gates), *watched)

    def certificates(self) -> list[str]:
        """Every file with certificates that a gate names."""
        queries = [gate.prometheus for gate in self.gates() if gate.prometheus is not None]
        return [query.ca for query in queries if query.ca is not None]

    def playbooks(self) -> list[str]:
        """The playbooks of all steps, those that switch sides and retire one, and those that undo steps."""
        found = [step.playbook for step in self.playbook_steps]
        sides = self.blue_green
        found += [name for name in (sides.switch, sides.retire) if name is not None] if sides is not None else []
        return found + [step.undo for step in self.playbook_steps if step.undo and step.undo not in UNDO_WORDS]

    def implementations(self) -> list[str]:
        """The templates of implementation plans: of its steps, and of what undoes them."""
        found = [step.implementation for step in self.implementation_steps]
        return found + [step.undo for step in self.implementation_steps if step.undo not in UNDO_WORDS]

    def suites(self) -> list[str]:
        """Where every suite of it is: of `verify`, of the watch, and of its gates."""
        found = [item.tests for item in self.verify]
        found += [self.watch.tests] if self.watch is not None and self.watch.tests is not None else []
        return found + [gate.tests for gate in self.gates() if gate.tests is not None]


class PackageFile(Model):
    """One file of a package: its path in its area, size in bytes, SHA-256, and whether it is executable.

    A symbolic link has its target in *link*; its size is 0, and its SHA-256 is that of the target's text.
    """

    path: str
    size: int = Field(ge=0)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    executable: bool = False
    area: Area = Field(default="content", exclude_if=lambda area: area == "content")
    link: str | None = Field(default=None, exclude_if=lambda link: link is None)

    @property
    def name(self) -> str:
        """The name of the file in the archive."""
        return f"{self.area}/{self.path}"


class PackedCollection(Model):
    """Our own collection, as a package has it. *digest* is over its files' names and SHA-256."""

    name: str
    version: str
    digest: Digest


class Manifest(Model):
    """What a package is: the release with its paths resolved, and every file. Its digest is the package's.

    In format 2 the area `content` is the project's tree, and paths in *release* are relative to the project's folder.
    Artifacts, installed requirements and our collection have areas of their own. In format 1 all files are in
    `content`, and *project* is the folder below it for Ansible. *collection* is the `orchestrator.release` in the
    package, which its playbooks run with whatever promotes it.
    """

    apiVersion: Literal["orchestrator/v1"]
    kind: Literal["Package"]
    format: Literal[1, 2] = Field(default=1, exclude_if=lambda number: number == 1)
    release: Release
    collection: PackedCollection | None = None
    project: str = "."
    files: tuple[PackageFile, ...]

    @property
    def digest(self) -> str:
        """The package's identity."""
        return digest_of(self.sealed())

    @classmethod
    def of_sealed(cls, text: bytes) -> "Manifest":
        """The manifest that a package has as *text*. Raises `pydantic.ValidationError`."""
        return cls.model_validate_json(read_manifest(text))

    def sealed(self) -> Any:
        """The data that a package has of it, in the one form of every version."""
        return MANIFEST.write(self.model_dump(mode="json", by_alias=True))

    def areas(self) -> list[Area]:
        """The areas that the package has, in the order of the archive. `content` is always one of them."""
        return sorted({"content", *(file.area for file in self.files)})

    def artifact(self, artifact: Artifact) -> PackageFile:
        """The packed file of *artifact*."""
        where = ("content", artifact.path) if self.format == 1 else ("artifacts", artifact.file_name)
        return next(file for file in self.files if (file.area, file.path) == where)


class PackageRef(Model):
    """A package by name, version and digest."""

    name: Name
    version: Version
    digest: Digest

    def is_meant_by(self, wanted: str) -> bool:
        """Whether the user's text *wanted* can mean it: a version, with the name or alone, or the start of a digest."""
        plain = wanted.removeprefix("sha256:")
        return wanted in {self.version, f"{self.name}-{self.version}", f"{self.name} {self.version}"} or (
            len(plain) >= 8 and self.digest.removeprefix("sha256:").startswith(plain)
        )

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Revision(Model):
    """The Git commit from which a package was built. *dirty*: the project had changes that were not committed."""

    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    dirty: bool


class Commit(Model):
    """A commit in which two revisions differ: *added* since the older one, or *removed*. *at* is ISO 8601."""

    change: Literal["added", "removed"]
    commit: str
    at: str
    author: str
    subject: str


class CommitMessage(Model):
    """A commit with its whole *message*. *at* is ISO 8601."""

    commit: str
    at: str
    author: str
    message: str


class Package(Model):
    """A package that has been read and verified. *path* is the sealed file, *root* its unpacked `content/` folder.

    *home* is the folder with the other unpacked areas. *attachments* are the names of what came with it and is not
    covered by its digest, *revision* is the one of them that names the Git commit.
    """

    manifest: Manifest
    digest: Digest
    path: str
    root: str | None = None
    home: str | None = None
    attachments: tuple[str, ...] = ()
    revision: Revision | None = None

    def folder(self, area: Area) -> str | None:
        """The unpacked folder of *area*; None if the package does not have the area."""
        if area == "content":
            return self.root
        home = self.home or posixpath.dirname(str(self.root))
        return f"{home}/{area}" if area in self.manifest.areas() else None

    def role_paths(self) -> list[str]:
        """The folders beside the project's tree in which Ansible finds roles."""
        return [f"{folder}/roles" for folder in [self.folder("requirements")] if folder is not None]

    def collection_paths(self) -> list[str]:
        """The folders beside the project's tree in which Ansible finds collections."""
        required, own = self.folder("requirements"), self.folder("collection")
        folders = [required and f"{required}/collections", own]
        return [folder for folder in folders if folder is not None]

    def artifact_path(self, artifact: Artifact) -> str:
        """The unpacked file of *artifact*."""
        return f"{self.folder(self.manifest.artifact(artifact).area)}/{self.manifest.artifact(artifact).path}"

    @property
    def ref(self) -> PackageRef:
        """The package by name, version and digest."""
        release = self.manifest.release
        return PackageRef(name=release.name, version=release.version, digest=self.digest)
