"""Traverses folders that other processes wrote, and removes them, however deep they are.

A job can make a folder below a folder as often as it likes. Functions that call themselves for each level, and paths
that the system accepts, end long before. So a traversal keeps one open folder, moves up by `..`, and names everything
relative to that folder. It never follows a link, and opens nothing but folders. Standard library only, since the
supervisor of every job uses it.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
ATTEMPTS = 5  # of a removal, while other processes write or remove there as well
LONGEST = 1024  # bytes of a relative name that is kept or listed; a longer one may not be a path any more
OWNER = 0o700  # what the owner of a folder may do in it


class Entry:
    """What a traversal has found: not a folder, but a file, a link, a pipe, a socket or a device.

    Attributes:
        folder: its open folder, as long as the traversal stays in it.
        base: its name in that folder.
        length: how many bytes its whole name has.
        status: the result of `lstat`.
    """

    __slots__ = ("_parts", "base", "folder", "length", "status")

    def __init__(self, folder: int, base: str, parts: list[str], length: int, status: os.stat_result) -> None:
        self.folder, self.base, self.length, self.status = folder, base, length, status
        self._parts = parts

    @property
    def name(self) -> str:
        """Its whole name, relative to the first folder; only while the traversal stays in its own folder."""
        return "/".join([*self._parts, self.base])

    @property
    def is_file(self) -> bool:
        """Whether it is an ordinary file."""
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.status.st_mode)

    def open(self) -> int:
        """A descriptor of the file. Raises `OSError` if it is not an ordinary file, or not the one that was found."""
        handle = os.open(self.base, FILE, dir_fd=self.folder)
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or _identity(found) != _identity(self.status):
            os.close(handle)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), self.base)
        return handle


class _OpenTree:
    """One open folder, the folders above it by number, and what each of them has besides.

    Attributes:
        folder: the open folder.
    """

    def __init__(self, top: str, *, opens: bool) -> None:
        self._opens = opens
        self._parts: list[str] = []
        self._length = 0
        self.folder = _opened(top, None, opens=opens)
        self._levels = [_level(self.folder)]

    def close(self) -> None:
        """End the walk."""
        os.close(self.folder)

    def __iter__(self) -> "Iterator[Entry | str]":
        """Each entry, and the name of each folder below the top after all that is in it, when it is closed."""
        while self._levels:
            name = next(self._levels[-1][1], None)
            if name is None:
                self._levels.pop()
                if self._levels:
                    yield self._up()
                continue
            found = self._found(name)
            if found is not None:
                yield found

    def _found(self, name: str) -> "Entry | None":
        """What is at *name*; None if it is a folder, into which the walk goes, or gone."""
        try:
            status = os.stat(name, dir_fd=self.folder, follow_symlinks=False)
        except (FileNotFoundError, PermissionError):
            return None
        if not stat.S_ISDIR(status.st_mode):
            return Entry(self.folder, name, self._parts, self._length + len(os.fsencode(name)), status)
        with contextlib.suppress(OSError):  # gone, replaced, or closed to us
            self._down(name)
        return None

    def _down(self, name: str) -> None:
        """Go into the folder *name*. Raises `OSError`, in which case the place does not change."""
        deeper = _opened(name, self.folder, opens=self._opens)
        try:
            level = _level(deeper)
        except OSError:
            os.close(deeper)
            raise
        os.close(self.folder)
        self.folder = deeper
        self._parts.append(name)
        self._length += len(os.fsencode(name)) + 1
        self._levels.append(level)

    def _up(self) -> str:
        """Go to the folder above; the name of the one that was left. Raises `OSError` if it was moved meanwhile."""
        above = os.open("..", FOLDER, dir_fd=self.folder)
        os.close(self.folder)
        self.folder = above
        name = self._parts.pop()
        if _identity(os.fstat(above)) != self._levels[-1][0]:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), name)
        self._length -= len(os.fsencode(name)) + 1
        return name


def entries(top: "str | os.PathLike[str]", *, opens: bool = False) -> Iterator[Entry]:
    """All that is below the folder *top* and is not a folder itself; nothing if *top* is a link, or not a folder.

    An entry can be used until the next one is taken. With *opens* a folder that is closed to its owner is opened.
    """
    try:
        walk = _OpenTree(os.fspath(top), opens=opens)
    except OSError:
        return
    with contextlib.closing(walk), contextlib.suppress(FileNotFoundError):  # a folder that was removed meanwhile
        yield from (found for found in walk if isinstance(found, Entry))


@contextlib.contextmanager
def entry(folder: "str | os.PathLike[str]", name: str) -> "Iterator[Entry | None]":
    """What is at *name* below *folder*; None if that does not exist, or is a folder. No link is followed on the way."""
    *parts, base = [part for part in name.split("/") if part not in {"", "."}]
    with contextlib.ExitStack() as opened:
        try:
            if ".." in (*parts, base):
                raise FileNotFoundError(name)
            place = os.open(folder, FOLDER & ~os.O_NOFOLLOW)
            opened.callback(os.close, place)
            for part in parts:
                place = os.open(part, FOLDER, dir_fd=place)
                opened.callback(os.close, place)
            status = os.stat(base, dir_fd=place, follow_symlinks=False)
        except OSError:
            yield None
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        yield None if is_folder else Entry(place, base, parts, len(os.fsencode(name)), status)


def walk(top: "str | os.PathLike[str]") -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk` from the top, in order, for folders that a user wrote, however deep they are.

    What is removed from the list of folders is left out.
    """
    waiting = [os.fspath(top)]
    while waiting:
        at = waiting.pop()
        folders: list[str] = []
        names: list[str] = []
        with contextlib.suppress(OSError), os.scandir(at) as found:
            for each in sorted(found, key=lambda each: each.name):
                (folders if each.is_dir() else names).append(each.name)
        yield at, folders, names
        below = (os.path.join(at, name) for name in reversed(folders))
        waiting.extend(path for path in below if not os.path.islink(path))


def remove(path: "str | os.PathLike[str]") -> None:
    """Remove *path*, whatever it is, with all that is below it; what a link leads to stays.

    Other processes may remove the same at once. Raises `OSError` if something is left.
    """
    for attempt in range(ATTEMPTS):
        try:
            _removed(os.fspath(path))
        except FileNotFoundError:
            if not os.path.lexists(path):
                return
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.ESTALE} or attempt == ATTEMPTS - 1:
                raise
        else:
            return


def discard(path: "str | os.PathLike[str]") -> None:
    """Remove *path* as far as that is possible."""
    with contextlib.suppress(OSError):
        remove(path)


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[str]:
    """A private folder with a random name, which is removed afterwards with all that processes have put into it."""
    import tempfile  # the supervisor of a job needs none

    folder = tempfile.mkdtemp(prefix=prefix)
    try:
        yield folder
    finally:
        discard(folder)


def _removed(path: str) -> None:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    first: OSError | None = None
    with contextlib.closing(_OpenTree(path, opens=True)) as walk:
        for found in walk:
            try:
                if isinstance(found, str):
                    os.rmdir(found, dir_fd=walk.folder)
                else:
                    os.unlink(found.base, dir_fd=walk.folder)
            except FileNotFoundError:
                pass
            except OSError as error:
                first = first or error
    if first is not None:
        raise first
    os.rmdir(path)


def _level(folder: int) -> tuple[tuple[int, int], Iterator[str]]:
    """The identity of an open folder, and the names in it."""
    return _identity(os.fstat(folder)), iter(sorted(os.listdir(folder)))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _opened(name: str, above: "int | None", *, opens: bool) -> int:
    """The folder *name* in the open folder *above*; with *opens* its owner may do all in it."""
    try:
        folder = os.open(name, FOLDER, dir_fd=above)
    except PermissionError:
        if not opens:
            raise
        _unlock(name, above)
        folder = os.open(name, FOLDER, dir_fd=above)
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if opens and mode & OWNER != OWNER:
        with contextlib.suppress(PermissionError):  # it belongs to another user
            os.fchmod(folder, mode | OWNER)
    return folder


def _unlock(name: str, above: "int | None") -> None:
    """Let the owner of the folder *name* do all in it; a link is not followed."""
    if os.chmod in os.supports_follow_symlinks:
        os.chmod(name, OWNER, dir_fd=above, follow_symlinks=False)
        return
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
    try:
        os.chmod(f"/proc/self/fd/{handle}", OWNER)
    finally:
        os.close(handle)
