"""Packages that clients upload: parts are kept until the package is whole, and its digest is checked."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from orchestrator.app.acting import Acting
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.parts import Parts
from orchestrator.app.run_requests import record_builder
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.error_codes import UPLOAD_OFFSET
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.moments import Now, parse_moment
from orchestrator.domain.release import Package
from orchestrator.domain.uploads import UPLOAD_KEPT_FOR, UploadPart, judges_content, wrong_offset
from orchestrator.ports import Uploads

Kept = TypeVar("Kept")


@contextmanager
def judging(uploads: Uploads, digest: str) -> Iterator[None]:
    """Discard the upload *digest* if the block raises an error about its content, which then starts again."""
    try:
        yield
    except (OrchestratorError, OrchestratorErrors) as error:
        if isinstance(error, OrchestratorErrors) or judges_content(error):
            uploads.discard(digest)
        raise


def add_part(
    uploads: Uploads,
    upload: tuple[str, UploadPart, bytes, datetime],
    end: Callable[[Path], Kept],
    kept: Callable[[], Kept | None],
) -> Kept | None:
    """Add the part of an *upload*: its digest, its place, its bytes and when it arrived. Returns None before the last.

    Then it is what *end* makes of the whole file, or what is *kept*, if another client has ended the upload. Raises
    N141 if the upload does not continue at the part, and what *end* and *kept* raise.
    """
    digest, part, data, at = upload
    try:
        uploads.append(digest, part, data, at)
    except OrchestratorError as error:
        found = kept() if part.is_last and error.code == UPLOAD_OFFSET else None
        if found is None:
            raise
        return found
    if not part.is_last:
        return None
    with uploads.ending(digest) as file:
        if file is None:
            found = kept()
            if found is None:  # its content was refused
                raise wrong_offset(0, part.start)
            return found
        made = end(file)
        uploads.discard(digest)
        return made


class PackageUploads(UseCases):
    """The use cases of uploads. An upload belongs to a digest: each actor with the right can continue it."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.BUILD, recorded=False)
    def upload_offset(self, actor: Actor, digest: str) -> tuple[int, bool]:
        """The number of bytes of the package *digest* that have arrived, and whether it is kept."""
        return self._parts.uploads.offset(digest), self._is_kept(digest)

    @use_case(Action.BUILD, recorded=False)
    def upload_part(self, actor: Actor, digest: str, part: UploadPart, data: bytes) -> Package | None:
        """Add a part to the upload of the package *digest*. Returns the package once it is whole, and kept.

        Raises N141 if the upload does not continue at this part, N143 if the content has another digest, N144 if its
        name and version are those of another package, P-codes, and S-codes. After N143, N144 and P-codes the upload
        starts again; after S-codes its last part can be repeated.
        """
        upload = (digest, part, data, parse_moment(self._parts.services.clock.now()))
        return add_part(self._parts.uploads, upload, lambda file: self._keep(actor, file, digest), self._known(digest))

    def _keep(self, actor: Actor, file: Path, digest: str) -> Package:
        """Keep the package *digest* in *file*, which is whole."""
        with judging(self._parts.uploads, digest):
            package = self._verified(file, digest)
        record_builder(self._parts.acting_as(actor), digest)
        kept = self._parts.packages.keep(file)
        return kept if package.digest == kept.digest else package

    def _known(self, digest: str) -> Callable[[], Package | None]:
        return lambda: self._parts.packages.fetch(digest) if self._is_kept(digest) else None

    def _verified(self, file: Path, digest: str) -> Package:
        package = self._parts.packages.read(file)
        if package.digest != digest:
            raise OrchestratorError("N143", f"the content has the digest {package.digest}, and not {digest}")
        ref = package.ref
        for other in self._parts.packages.refs():
            if (other.name, other.version) == (ref.name, ref.version) and other.digest != digest:
                hint = f"raise the version, or remove the other one: orchestrator package remove {other.digest[7:19]}"
                raise OrchestratorError("N144", f"{ref} is kept with another content ({other.digest[:19]})", hint=hint)
        return package

    def _is_kept(self, digest: str) -> bool:
        return any(ref.digest == digest for ref in self._parts.packages.refs())


@dataclass(frozen=True)
class RemoveUploads:
    """A duty: unfinished uploads are removed after a day."""

    uploads: Uploads
    name: str = "uploads"

    def due(self, now: Now) -> bool:
        """Always: the list of a folder is read quickly."""
        del now
        return True

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Remove what is too old."""
        del acting
        count = self.uploads.remove_before(now.earliest - UPLOAD_KEPT_FOR)
        return [f"{count} unfinished uploads removed"] if count else []
