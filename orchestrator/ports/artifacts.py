"""Files by digest: release packages, what several machines share, and what jobs have printed."""

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from orchestrator.domain.journal import Entry
from orchestrator.domain.release import Package, PackageRef, Release, Revision
from orchestrator.domain.uploads import UploadPart


class Packages(Protocol):
    """Release packages, by digest."""

    def build(self, project: Path, source: Path, release: Release, target: Path) -> Package:
        """Seal what *release* (read from the file *source*) names into the file *target*."""

    def read(self, path: Path) -> Package:
        """Read and verify a sealed file. Raises P-codes; writes nothing."""

    def keep(self, path: Path) -> Package:
        """Verify a sealed file and put it into the store, unpacked copy beside it."""

    def fetch(self, digest: str) -> Package:
        """The kept package, verified again file by file, with its *root*. Raises P-codes."""

    def revision(self, digest: str) -> Revision | None:
        """The Git commit from which the kept package was built; None if it has none. Raises P301 if it is not here."""

    def hold(self, path: Path) -> Package:
        """As :meth:`keep`, on this machine alone: other machines do not get it."""

    def remove(self, ref: PackageRef) -> None:
        """Remove a kept package, here and where it is shared; doing it again is harmless.

        The caller has checked that nothing uses it.
        """

    def refs(self) -> list[PackageRef]:
        """Every package that is kept, here or in the shared store. Raises S-codes if that cannot be read."""

    def strange_names(self) -> list[str]:
        """Names where packages are shared that are not those of a package. Raises S-codes like :meth:`refs`."""

    def ref(self, digest: str) -> PackageRef | None:
        """The name of the package with this digest; None if it cannot be read."""


class Uploads(Protocol):
    """Unfinished uploads of packages on this machine, by the digests of the packages."""

    def offset(self, digest: str) -> int:
        """The number of bytes that have arrived: where the upload continues."""

    def append(self, digest: str, part: UploadPart, data: bytes, at: datetime) -> int:
        """Write the *data* of a *part*, which arrived *at* a time; the next offset. A repeated part changes nothing.

        Raises N141 if the upload does not continue at the part. Waits while another client adds a part or ends it.
        """

    def ending(self, digest: str) -> AbstractContextManager[Path | None]:
        """The file of a whole upload, which no other client changes, ends or discards within the block.

        None if another client has ended it. Waits while one does.
        """

    def discard(self, digest: str) -> None:
        """Remove an upload."""

    def remove_before(self, at: datetime) -> int:
        """Remove uploads whose last part arrived before *at*; their number."""


class Artifacts(Protocol):
    """A place that several machines reach: content by its digest, and names that lead to content.

    Content is written once and verified whenever it is read. Digests are `sha256:` and 64 hexadecimal digits; names are
    words with slashes. Every method raises S142 (it does not answer), S143 (there is no such place), S144 (it refuses).
    """

    where: str

    def put(self, source: Path) -> str:
        """Keep the content of the file *source*; its digest. The same content again changes nothing."""

    def get(self, digest: str, target: Path) -> None:
        """Write the content with this digest to the file *target*, whole or not at all.

        Raises S145 when the content does not have this digest, and S146 when it does not exist.
        """

    def name(self, name: str, digest: str) -> None:
        """Let *name* lead to *digest*. A name that leads somewhere already stays as it is."""

    def named(self, name: str) -> str | None:
        """The digest that *name* leads to; None when there is no such name. Raises S145."""

    def forget(self, name: str) -> None:
        """Remove *name*. Its content stays; nothing happens if there is no such name."""

    def remove(self, digest: str) -> None:
        """Remove the content with this digest, to which no other name leads; nothing happens if there is none."""

    def names(self, prefix: str) -> list[str]:
        """Every name that starts with *prefix*, sorted."""

    def check(self) -> None:
        """Return if content can currently be written, read and listed."""


class Logs(Protocol):
    """What jobs have printed, kept where every machine finds it."""

    def keep(self, job: str) -> list[Entry]:
        """Keep what *job*, and the jobs that it has started, have printed; an entry for each. Never raises."""
