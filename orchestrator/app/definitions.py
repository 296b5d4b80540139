"""Project definitions: pushed, listed, and made current. See decision 0051."""

from collections.abc import Sequence
from pathlib import Path

import orchestrator.config as files
from orchestrator.app.acting import Change, change, unknown
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.parts import Parts
from orchestrator.app.uploads import add_part, judging
from orchestrator.config.implementation import implementation_files, load_implementation
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.environment import PUSHED
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import PAGE_SIZE, Page
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.project_definition import (
    CURRENT,
    LARGEST_DEFINITION,
    DefinitionChange,
    DefinitionManifest,
    ProjectDefinition,
    ShownDefinition,
    file_changes,
)
from orchestrator.domain.register import PROJECT_DEFINITIONS
from orchestrator.domain.release import Revision
from orchestrator.domain.uploads import UploadPart
from orchestrator.register_ports import Records
from orchestrator.trees import temporary_folder

LARGEST_ARCHIVE = 2 * LARGEST_DEFINITION
SHORTEST = 6  # characters of a digest that identify it


class Definitions(UseCases):
    """The use cases of project definitions. An upload belongs to a digest: each actor with the right continues it."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.VIEW)
    def kept(
        self, actor: Actor, cursor: str | None = None, limit: int = PAGE_SIZE, *, oldest_first: bool = False
    ) -> Page[ProjectDefinition]:
        """The definitions that the project keeps, the newest first, or the *oldest_first*."""

        def work(records: Records) -> Page[ProjectDefinition]:
            return records.page(PROJECT_DEFINITIONS, newest_first=not oldest_first, cursor=cursor, limit=limit)

        return self._parts.acting_as(actor).register.reading(work)

    @use_case(Action.VIEW)
    def current(self, actor: Actor) -> ProjectDefinition | None:
        """The definition that servers and workers use for new runs; None before the first one was pushed."""
        return self._current(actor)

    @use_case(Action.VIEW)
    def show(self, actor: Actor, wanted: str) -> ShownDefinition:
        """The definition whose digest starts with *wanted*, with its files. Raises A110, N180 and N185."""
        found = self._found(actor, wanted)
        manifest = self._manifest(found.digest)
        return ShownDefinition(definition=found, files=manifest.files, credentials=manifest.credentials)

    @use_case(Action.PUSH_DEFINITION, recorded=False)
    def definition_offset(self, actor: Actor, digest: str) -> tuple[int, bool]:
        """The number of bytes of the definition *digest* that have arrived, and whether it is kept."""
        return self._parts.uploads.offset(digest), self._kept_as(actor, digest) is not None

    @use_case(Action.PUSH_DEFINITION, recorded=False)
    def definition_part(self, actor: Actor, digest: str, part: UploadPart, data: bytes) -> ProjectDefinition | None:
        """Add a part to the upload of the definition *digest*. Returns the definition once it is whole, and kept.

        Raises N141 if the upload does not continue at this part, N142 and N184, N143 and N180 if it is not the
        definition with this digest, N182, F-codes of its files, and S-codes. After those of the content the upload
        starts again; after S-codes its last part can be repeated.
        """
        self._require_receiving()
        if part.total > LARGEST_ARCHIVE:
            text = f"the definition has {part.total} bytes, and {LARGEST_ARCHIVE} are possible"
            raise OrchestratorError("N142", text)
        uploads = self._parts.uploads
        upload = (digest, part, data, parse_moment(self._parts.services.clock.now()))

        def end(file: Path) -> ProjectDefinition:
            with judging(uploads, digest):
                return self._keep(actor, digest, file.read_bytes())

        return add_part(uploads, upload, end, lambda: self._kept_as(actor, digest))

    @use_case(Action.PUSH_DEFINITION, recorded=False)
    def keep(self, actor: Actor, digest: str, file: Path) -> ProjectDefinition:
        """Keep the definition *digest* in the archive *file*. Raises N143, N180, N182, N184 and F-codes."""
        self._require_receiving()
        return self._keep(actor, digest, file.read_bytes())

    @use_case(Action.PUSH_DEFINITION, recorded=False)  # recorded with the change itself
    def make_current(
        self, actor: Actor, wanted: str, expected: str, why: str = "", revision: Revision | None = None
    ) -> DefinitionChange:
        """Let servers and workers use the kept definition whose digest starts with *wanted* for what starts next.

        Without effect if it is current. *expected* is the digest of the current one as the actor has seen it, empty for
        none: N145 is raised if it is another one. *why* is the reason, and *revision* the Git commit from which
        it was sealed. Raises A110, N180, N184 and N185.
        """
        self._require_receiving()
        before, found = self._current(actor), self._found(actor, wanted)
        earlier = before.digest if before is not None else ""
        if earlier == found.digest:
            return DefinitionChange(before=earlier, definition=found)
        old, new = (self._manifest(earlier).files if earlier else ()), self._manifest(found.digest).files
        added, changed, removed = file_changes(old, new)

        def work(task: Change) -> ProjectDefinition:
            return _switched(task, found.digest, expected, why, revision)

        acting = self._parts.acting_as(actor)
        made = change(acting, Action.PUSH_DEFINITION, work, reason=why)
        self._parts.refresh_definition()
        return DefinitionChange(before=earlier, definition=made, added=added, changed=changed, removed=removed)

    def _require_receiving(self) -> None:
        if not self._parts.receives_definitions:
            hint = "write `definition: pushed` into orchestrator.yaml there, or edit the files in that folder"
            raise OrchestratorError("N184", "the project uses the files in its own folder", hint=hint)

    def _current(self, actor: Actor) -> ProjectDefinition | None:
        found = self._parts.acting_as(actor).register.reading(lambda it: it.all(PROJECT_DEFINITIONS, CURRENT))
        return next(iter(found), None)

    def _kept_as(self, actor: Actor, digest: str) -> ProjectDefinition | None:
        return self._parts.acting_as(actor).register.reading(lambda it: it.get(PROJECT_DEFINITIONS, digest))

    def _found(self, actor: Actor, wanted: str) -> ProjectDefinition:
        """The definition whose digest starts with *wanted*. Raises A110."""
        every = self._parts.acting_as(actor).register.reading(lambda it: it.all(PROJECT_DEFINITIONS))
        start = wanted.removeprefix("sha256:")
        fitting = [each for each in every if len(start) >= SHORTEST and each.digest[7:].startswith(start)]
        if len(fitting) != 1:
            raise _not_one(wanted, fitting, every)
        return fitting[0]

    def _manifest(self, digest: str) -> DefinitionManifest:
        """The manifest of a kept definition. Raises N180 and N185."""
        data = self._parts.definition_archives.fetch(digest)
        if data is None:
            raise OrchestratorError("N185", f"the project definition {digest[:19]} is not kept any more")
        return self._parts.definition_files.read(data)

    def _keep(self, actor: Actor, digest: str, data: bytes) -> ProjectDefinition:
        """Check the archive, and keep it. The archive is kept first: a record never names one that is missing."""
        manifest = self._checked(digest, data)
        self._parts.definition_archives.keep(digest, data)

        def work(task: Change) -> ProjectDefinition:
            known = task.records.get(PROJECT_DEFINITIONS, digest)
            if known is not None:
                return known
            made = ProjectDefinition(
                digest=digest,
                files=len(manifest.files),
                size=manifest.size,
                pushed_by=str(actor),
                pushed_at=task.now.earliest,
            )
            return task.put(PROJECT_DEFINITIONS, made, event="push")

        return change(self._parts.acting_as(actor), Action.PUSH_DEFINITION, work)

    def _checked(self, digest: str, data: bytes) -> DefinitionManifest:
        """The manifest of an archive that servers and workers can use. Raises N143, N180, N182, N183 and F-codes."""
        manifest = self._parts.definition_files.read(data)
        if manifest.digest != digest:
            raise OrchestratorError("N143", f"the content has the digest {manifest.digest}, and not {digest}")
        with temporary_folder("orchestrator-definition-") as folder:
            root = Path(folder).resolve() / "project"
            self._parts.definition_files.unpack(data, root)
            project = files.load_project(root)
            own = self._parts.project.name
            if own not in {project.name, manifest.project} or project.name != manifest.project:
                raise OrchestratorError("N182", f"the definition is that of {project.name}, and the project is {own}")
            if project.definition == PUSHED:
                raise OrchestratorError("N183", "the definition has no files of its own: it has definition: pushed")
            files.load_environments(root, project)
            for file in implementation_files(root):
                load_implementation(file, root)
        return manifest


def _switched(task: Change, digest: str, expected: str, why: str, revision: Revision | None) -> ProjectDefinition:
    """Make the definition *digest* current in place of *expected*. Raises N145."""
    current = next(iter(task.records.all(PROJECT_DEFINITIONS, CURRENT)), None)
    found = current.digest if current is not None else ""
    if found != expected:
        by = f" by {current.used_by}" if current is not None else ""
        hint = "read it with `orchestrator project definitions`, and repeat the command"
        raise OrchestratorError("N145", f"the current definition was changed{by} meanwhile: {found[:19]}", hint=hint)
    if current is not None:
        replaced = current.model_copy(update={"is_current": False, "replaced_at": task.now.earliest})
        task.put(PROJECT_DEFINITIONS, replaced, event="replace")
    known = task.existing(PROJECT_DEFINITIONS, digest)
    update = {
        "is_current": True,
        "replaced_at": None,
        "used_by": str(task.acting.actor),
        "used_at": task.now.earliest,
        "message": why,
    }
    made = known.model_copy(update={**update, "revision": revision or known.revision})
    return task.put(PROJECT_DEFINITIONS, made, event="use", before=found)


def _not_one(
    wanted: str, fitting: Sequence[ProjectDefinition], every: Sequence[ProjectDefinition]
) -> OrchestratorError:
    """The error for a text that is the start of no digest, or of several."""
    if fitting:
        names = ", ".join(each.digest[7:19] for each in fitting)
        text = f"{wanted} is the start of several project definitions: {names}"
        return OrchestratorError("A110", text, hint="orchestrator project definitions shows what exists")
    return unknown("project-definition", wanted, [each.digest[7:19] for each in every])
