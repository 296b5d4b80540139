"""The mounts that make a view, in the order in which they are made: a folder before what lies below it."""

import os
from collections.abc import Iterable, Iterator

from orchestrator.domain.view import View
from orchestrator.isolation import system
from orchestrator.isolation.mount import BOUND, LINK, MEMORY, NOTHING, READ, WRITE, Mount


def mounts(view: View) -> list[Mount]:
    """Every mount of *view*. What is hidden wins over what may be read; what lies deeper comes later."""
    named = [os.path.normpath(path) for path in view.hidden]
    hidden = tuple(dict.fromkeys([*named, *map(os.path.realpath, named)]))
    every = {mount.target: mount for mount in (*_memory(view), *_bound(view))}  # the later one is more exactly meant
    shown = _without_repeats(_in_order(every.values()), hidden)
    closed = [mount for path in (*system.private(), *hidden) for mount in _closed(path, shown)]
    return _in_order({mount.target: mount for mount in (*shown, *closed)}.values())


def clear(folder: str, made: Iterable[Iterable[str]], kept: str) -> None:
    """Remove from *folder*, which was placed, the empty files and folders that other mounts needed as their places.

    Args:
        folder: where the placed folder is on the machine.
        made: the mounts, as `job.json` has them.
        kept: the folder that *folder* was copied from: what it contains stays.
    """
    every = [Mount(*row) for row in made]
    places = [mount.target for mount in every if mount.source == folder and mount.target != folder]
    for place in places:
        below = {os.path.relpath(item.target, place) for item in every if system.within(item.target, place)}
        for name in sorted(below - {"."}, reverse=True):
            if not name.startswith(".."):
                _remove_empty(folder, name, kept)


def _remove_empty(folder: str, name: str, kept: str) -> None:
    """Remove *name* below *folder* if it is empty, and then the folders above it that are empty."""
    while name and not os.path.lexists(os.path.join(kept, name)):
        path = os.path.join(folder, name)
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            elif os.lstat(path).st_size == 0:
                os.unlink(path)
            else:
                return
        except OSError:
            return
        name = os.path.dirname(name)


def visible(path: str, view: View) -> bool:
    """Whether a process with *view* finds *path* of the controller."""
    path = os.path.normpath(path)
    nearest = _nearest(path, mounts(view))
    if nearest is None or nearest.kind not in {READ, WRITE, LINK}:
        return False
    return nearest.kind == LINK or os.path.exists(nearest.source + path[len(nearest.target) :])


def changeable(path: str, view: View) -> bool:
    """Whether a process with *view* may change *path*, in the controller or in its own memory."""
    nearest = _nearest(os.path.normpath(path), mounts(view))
    return nearest is not None and nearest.kind in {WRITE, MEMORY}


def temporary() -> tuple[str, ...]:
    """The folders for temporary files, which are empty in every view."""
    import tempfile

    return tuple(dict.fromkeys(["/tmp", "/var/tmp", tempfile.gettempdir()]))  # noqa: S108


def _memory(view: View) -> Iterator[Mount]:
    for path in (*temporary(), "/run", *view.empty):
        yield Mount(MEMORY, os.path.normpath(path))


def _bound(view: View) -> Iterator[Mount]:
    for path in system.readable():
        is_link = os.path.islink(path) and os.path.dirname(path) == "/"
        yield from [Mount(LINK, path, os.readlink(path))] if is_link else map(_shown, _existing([path]))
    yield from map(_shown, _existing(view.read))
    yield from (Mount(WRITE, path, path) for path in _existing(view.write))
    yield from (Mount(WRITE, os.path.normpath(target), source) for source, target in view.placed)


def _shown(path: str) -> Mount:
    return Mount(READ, path, path)


def _existing(paths: Iterable[str]) -> Iterator[str]:
    """The *paths* that exist; of a link also what it leads to, which is where its content is."""
    for path in dict.fromkeys(map(os.path.normpath, paths)):
        if path != "/" and os.path.exists(path):
            real = os.path.realpath(path)
            if real != path:
                yield real
            yield path


def _without_repeats(ordered: list[Mount], hidden: tuple[str, ...]) -> list[Mount]:
    """The mounts without those that a mount above shows already, if nothing between the two is *hidden*.

    What a mount above shows by a link is found through that link, since its real path is mounted too. The link cannot
    be the place of a mount: the kernel follows it while the new root is only half made.
    """
    kept: list[Mount] = []
    for mount in ordered:
        above = _nearest(mount.target, kept)
        if above is None or not _is_repeated(mount, above, hidden):
            kept.append(mount)
    return kept


def _is_repeated(mount: Mount, above: Mount, hidden: tuple[str, ...]) -> bool:
    """Whether the mount *above* shows what *mount* shows."""
    if mount.kind not in BOUND or mount.source != mount.target:
        return False
    if _is_by_link(mount.target, above):
        return True
    between = any(system.within(mount.target, path) and system.within(path, above.target) for path in hidden)
    weaker = above.kind == mount.kind or (above.kind, mount.kind) == (WRITE, READ)
    return weaker and not between and above.source == above.target


def _closed(path: str, made: list[Mount]) -> Iterator[Mount]:
    """What closes *path*, if one of the mounts that are *made* shows it; a placed folder shows nothing private."""
    nearest = _nearest(path, made)
    if nearest is None or nearest.kind not in BOUND or nearest.source != nearest.target:
        return
    if _is_by_link(path, nearest) or not os.path.exists(path):
        return
    yield Mount(MEMORY if os.path.isdir(path) else NOTHING, path)


def _is_by_link(path: str, above: Mount) -> bool:
    """Whether the mount *above* shows *path* by a link: *path* itself, or a folder between the two, is one."""
    while above.kind in BOUND and path != above.target:
        if os.path.islink(above.source + path[len(above.target) :]):
            return True
        path = os.path.dirname(path)
    return False


def _nearest(path: str, made: list[Mount]) -> Mount | None:
    """The mount that decides about *path*: of those *made*, which are in order, the deepest at or above it."""
    return next((mount for mount in reversed(made) if system.within(path, mount.target)), None)


def _in_order(made: Iterable[Mount]) -> list[Mount]:
    return sorted(made, key=lambda mount: len([part for part in mount.target.split("/") if part]))
