"""The controller files that an environment declares: kept over releases, each version with the run that wrote it.

`lookup('password', ...)` and fetched files then behave over releases as they do by hand. A play gets the newest version
into its copy. A step of a rollback gets the version which the release of its package wrote last, and so does the
promotion of an older release, as by the rules of a rollback. A rehearsal gets it as well, and keeps none. Machines that
share artifacts share the versions, encrypted.

A version that no play can get any more is removed: see `needed`.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.adapters import secret_files
from orchestrator.adapters.ansible.shared_files import SharedFiles
from orchestrator.adapters.secret_files import FOLDER, INDEX, SECRET
from orchestrator.domain.context import Context
from orchestrator.domain.error_codes import TOO_MANY_CONTROLLER_FILES
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.step import step_of
from orchestrator.file_system import write_whole
from orchestrator.trees import LONGEST, discard, entries

LOCK = "lock"
MOST_BYTES, MOST_FILES = 256 << 20, 10_000  # of the controller files of an environment
BACK = ("restore.", "undo.", "rehearse.")  # steps that get the version of their own release


@dataclass(frozen=True)
class Writer:
    """The play that uses the files: its *job* in the *run*, the *step*, and the *digest* of its package.

    *verified* is the release that was verified last in the environment, and the run that verified it. *older* is
    true if the package's release was verified there earlier than that one.
    """

    job: str
    digest: str
    run: str = ""
    step: str = ""
    verified: tuple[str, str] | None = None
    older: bool = False

    @staticmethod
    def of(job: str, context: Context, digest: str) -> "Writer":
        """The play that the job *job* runs, with the package *digest*."""
        step, older = step_of(job, context.run)[0], digest in context.older
        return Writer(job, digest, context.run, step, context.verified, older)

    @property
    def goes_back(self) -> bool:
        """Whether it gets the version of its own release, and not the newest one."""
        return self.step.startswith(BACK)

    @property
    def rehearses(self) -> bool:
        """Whether it works on a copy that is thrown away."""
        return self.step.startswith("rehearse.")


class KeptFiles:
    """The declared controller files of the environment of *context*.

    Args:
        state: the folder in which the versions of all environments lie.
        context: names the project and the environment, and has the files and folders, relative to the project.
        shared: the versions of other machines; None: there are none.
    """

    def __init__(self, state: Path, context: Context, shared: SharedFiles | None = None) -> None:
        self._folder = state / FOLDER / context.environment
        self._place = f"{context.project or 'none'}/{context.environment}"
        self._declared = tuple(path.strip("/") for path in context.controller_files)
        self._context, self._shared = context, shared

    def covers(self, path: str) -> bool:
        """Whether *path* is declared, or lies in a folder that is."""
        return secret_files.is_below_any(self._declared, path)

    def lay(self, copy: Path, writer: Writer) -> None:
        """Put the version for *writer* into *copy*; a sealed file is never replaced. Raises what `exchange` does.

        A rollback does not wait for the shared store when the version of its release is on this machine.
        """
        try:
            self.exchange()
        except OrchestratorError:
            if not writer.goes_back or all(version["digest"] != writer.digest for version in self._versions()):
                raise
        version = self._version(writer)
        for name, path in _by_name(version).items() if version is not None else ():
            if self.covers(name) and not os.path.lexists(copy / name):
                _put(path, copy / name)

    def take(self, copy: Path, sealed: Path, writer: Writer) -> None:
        """Keep what *writer* left in *copy*, in a new version if it differs from the previous one.

        Raises D186 for too many files, and what `exchange` raises; during a rollback the version is kept anyway.
        """
        if not self._declared or writer.rehearses:
            return
        found = {name: path for name, path in _by_name(copy).items() if self.covers(name)}
        own = {name: path for name, path in found.items() if not os.path.lexists(sealed / name)}
        _limit(own)
        with self._locked():
            self._add(own, writer)
        try:
            self.exchange()
        except OrchestratorError:
            if not writer.goes_back:  # the next exchange of this machine shares it
                raise

    def exchange(self) -> None:
        """Fetch the versions of other machines, and share those of this one. Raises D170, D171 and S-codes.

        Versions that no machine needs any more are removed in both places, before anything is shared.
        """
        if self._shared is None or not self._declared:
            return
        self._shared.ready()
        with self._locked():
            self._shared.clean(self._place)
            versions = {str(version["folder"]): version for version in self._versions()}
            there = self._shared.names(self._place)
            for name in sorted(there - versions.keys()):
                found = self._shared.get(self._place, name)
                if found is None:
                    continue  # another machine removed it since
                about, files = found
                self._lay_down(name, files)
                versions[name] = {**about, "folder": name}
                self._write([versions[each] for each in sorted(versions)])
            kept = {str(version["folder"]) for version in self._prune()}
            for name in sorted(kept - there):
                about = {key: str(value) for key, value in versions[name].items() if key != "folder"}
                self._shared.put(self._place, name, about, _by_name(self._folder / name))
            for name in sorted(there & versions.keys() - kept):
                self._shared.forget(self._place, name)

    def _add(self, own: Mapping[str, Path], writer: Writer) -> None:
        versions = self._versions()
        last = self._folder / str(versions[-1]["folder"]) if versions else None
        if any(version["job"] == writer.job for version in versions) or (not own and last is None):
            return
        if last is not None and _same(own, last) and versions[-1]["digest"] == writer.digest:
            return
        number = int(str(versions[-1]["folder"])[:6]) + 1 if versions else 1
        name = f"{number:06d}-{hashlib.sha256(writer.job.encode()).hexdigest()[:12]}"
        self._lay_down(name, {path: source.read_bytes() for path, source in own.items()})
        about = {"job": writer.job, "run": writer.run, "digest": writer.digest}
        about[SECRET] = "\n".join(self._context.secret_files)
        self._write([*versions, {**about, "folder": name}])
        if self._shared is None:  # otherwise the exchange does it, when the versions of other machines are here
            self._prune()

    def _prune(self) -> list[dict[str, Any]]:
        """Remove the versions that are not needed; those that are left."""
        versions = self._versions()
        kept = needed(versions, self._context)
        if len(kept) < len(versions):
            self._write(kept)
            for version in versions:
                if version not in kept:
                    discard(self._folder / str(version["folder"]))
        return kept

    def _version(self, writer: Writer) -> Path | None:
        versions = self._versions()
        if not versions:
            return None
        digest, newest = writer.digest if writer.goes_back or writer.older else "", versions[-1]
        if not digest and writer.verified is not None:
            release, run = writer.verified
            if newest.get("run") == run:  # that run may have restored the release without writing a file
                digest = release
        mine = [version for version in versions if version["digest"] == digest]
        return self._folder / str((mine or versions)[-1]["folder"])

    def _versions(self) -> list[dict[str, Any]]:
        try:
            return list(json.loads((self._folder / INDEX).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return []

    def _lay_down(self, name: str, files: Mapping[str, bytes]) -> None:
        """Write the files of one version; it counts when the index names it."""
        discard(self._folder / name)
        (self._folder / name).mkdir(parents=True, mode=0o700)
        for path, data in files.items():
            place = self._folder / name / path
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)

    def _write(self, versions: list[dict[str, Any]]) -> None:
        write_whole(self._folder / INDEX, json.dumps(versions))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def needed(versions: Sequence[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
    """The *versions* that a play may still get, in order.

    These are the newest one, those of the current run, and the last one of each release: of one that was verified,
    as long as it is a possible rollback target; of another one, until a play of the verified release wrote a later
    version. All of them if the possible rollback targets are not known.
    """
    if context.targets is None or context.verified is None:
        return list(versions)
    last = {str(version["digest"]): number for number, version in enumerate(versions)}
    settled = last.get(context.verified[0], -1)
    return [
        version
        for number, version in enumerate(versions)
        if number == len(versions) - 1
        or version.get("run") == context.run
        or (last[str(version["digest"])] == number and (version["digest"] in context.targets or number > settled))
    ]


def _by_name(folder: Path) -> dict[str, Path]:
    """The ordinary files below *folder* by their names; links, pipes and devices are not kept."""
    found = (each for each in entries(folder, opens=True) if each.is_file and each.length <= LONGEST)
    return {each.name: folder / each.name for each in found}


def _limit(files: Mapping[str, Path]) -> None:
    """Raise D186 if *files* are more than can be kept."""
    size = sum(path.stat().st_size for path in files.values())
    if size > MOST_BYTES or len(files) > MOST_FILES:
        what = f"{len(files)} files with {size / 2**20:.0f} MiB"
        raise OrchestratorError(TOO_MANY_CONTROLLER_FILES, f"the play left {what} in its controller files")


def _put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(source, target)
    target.chmod(0o600)


def _same(files: Mapping[str, Path], version: Path) -> bool:
    before = _by_name(version)
    return files.keys() == before.keys() and all(
        path.read_bytes() == before[name].read_bytes() for name, path in files.items()
    )
