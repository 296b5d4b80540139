"""Rows 8 to 10 and 50: disks that are full or read-only, and processes that get no memory, files or processes."""

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.chaos.parts import EDGE, Small, ended, small
from tests.campaigns.chaos.processes import recovered
from tests.campaigns.chaos.stores import mounted
from tests.campaigns.chaos.table import NotHere, Scene, needs, row
from tests.journeys.conftest import AGAIN


def _fill(folder: Path, leave: int = 0) -> list[Path]:
    """Fill the file system of *folder* but for *leave* bytes; the files that do."""
    made = [folder / "full"]
    with contextlib.suppress(OSError), made[0].open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    if leave:
        os.truncate(made[0], max(0, made[0].stat().st_size - leave))
    return made


def _use_inodes(folder: Path) -> list[Path]:
    """Take every inode of the file system of *folder*."""
    made = list[Path]()
    with contextlib.suppress(OSError):
        for number in range(100_000):
            (folder / f"full{number}").touch()
            made.append(folder / f"full{number}")
    return made


def _small_disk(scene: Scene, options: str) -> Small:
    """A project of this row's own whose second host has a small disk."""
    needs("mount", root=True)
    project = Small(scene.folder / "project")
    project.root.mkdir()
    scene.end.callback(project.clean)
    project.lay()
    scene.end.callback(project.free)
    root = Path(project.hosts[1].root)
    scene.end.enter_context(mounted(root, "-t", "tmpfs", "-o", options, "tmpfs"))
    (root / ".ansible/tmp").mkdir(parents=True)
    project.promote(project.make())
    return project


def _serves(project: Small, number: int, version: str) -> None:
    """See that the host's current release is *version*, complete, and that nothing half-written is left beside it."""
    root = Path(project.hosts[number].root)
    assert (root / "current" / "VERSION").read_text() == version
    assert [path.name for path in root.glob("releases/.incoming-*")] == []


@row(9, "the disk of a host is full")
def target_full(scene: Scene) -> str:
    """Without blocks, or without inodes: the old release stays, nothing half-written is left, and the run goes back."""
    kind = scene.rng.choice(("blocks", "inodes"))
    project = _small_disk(scene, "size=2m" if kind == "blocks" else "size=16m,nr_inodes=60")
    good, version, root = project.good_release(), project.make(), Path(project.hosts[1].root)
    made = _fill(root) if kind == "blocks" else _use_inodes(root)
    said = project.promote(version, code=None)
    run = project.last()
    assert said.code in {1, 4, 5}, f"{kind}: {said.code}: {said.err[-800:]}"
    _serves(project, 1, good)
    for file in made:
        file.unlink()
    if said.code == 5:
        project.run("observe", EDGE)
        project.run("rollback", EDGE, "--yes")
    assert set(project.releases(EDGE).values()) == {good}, project.releases(EDGE)
    project.judge(run, "failed", "rolled back", "needs intervention")
    project.promote(version, *AGAIN)
    _serves(project, 1, version)
    return f"no {kind}: ended with {said.code}, still {good} there; with space again {version}"


@row(10, "the disk of a host becomes read-only")
def read_only(scene: Scene) -> str:
    """Remount it in the middle of a promotion: the old release stays there, and the rest goes back or is named."""
    project = _small_disk(scene, "size=8m")
    good, version, root = project.good_release(), project.make(), str(project.hosts[1].root)
    process = project.halfway(version)
    subprocess.run(["mount", "-o", "remount,ro", root], check=True)
    (Path(project.hosts[0].root) / "hold").unlink()
    code, said = ended(process)
    run = project.last()
    assert code in {4, 5}, f"{code}: {said[-800:]}"
    _serves(project, 1, good)
    subprocess.run(["mount", "-o", "remount,rw", root], check=True)
    if code == 5:
        project.run("observe", EDGE)
        project.run("rollback", EDGE, "--yes")
    assert set(project.releases(EDGE).values()) == {good}, project.releases(EDGE)
    project.judge(run, "rolled back", "needs intervention")
    return f"ended with {code}, {good} everywhere"


PIDS = Path("/sys/fs/cgroup/pids")


def _no_room(scene: Scene, kind: str, process: int) -> Callable[[], object]:
    """Take the room of one kind away from a process; what gives it back."""
    if kind == "processes":
        needs(root=True)
        if not (PIDS / "cgroup.procs").exists():
            raise NotHere("needs the cgroup controller pids")
        group = PIDS / f"orchestrator-chaos-{process}"
        group.mkdir()
        scene.end.callback(group.rmdir)
        (group / "pids.max").write_text(str(len(list(Path(f"/proc/{process}/task").iterdir()))))
        (group / "cgroup.procs").write_text(str(process))
        return lambda: (group / "pids.max").write_text("max")
    what = resource.RLIMIT_AS if kind == "memory" else resource.RLIMIT_NOFILE
    room = 1 << 20 if kind == "memory" else len(list(Path(f"/proc/{process}/fd").iterdir()))
    before = resource.prlimit(process, what, (room, resource.getrlimit(what)[1]))
    return lambda: resource.prlimit(process, what, before)


def _starved(scene: Scene, kind: str) -> str:
    project = small(scene)
    version = project.make()
    process = project.halfway(version)
    give_back = _no_room(scene, kind, process.pid)
    project.free()
    began = time.monotonic()
    try:
        code, said = ended(process, 60)
        how = f"ended with {code} after {time.monotonic() - began:.0f} s"
    except subprocess.TimeoutExpired:  # it waits for room
        give_back()
        code, said = ended(process, 90)
        how = f"waited, had room again, and ended with {code}"
    last = project.status(EDGE)["last_run"]
    if last["ended_at"]:
        state = project.judge(project.last(), "succeeded", "rolled back", "failed")
        assert (state == "succeeded") == (code == 0), f"{state}, and it ended with {code}: {said[-800:]}"
        return f"{how}: {state}"
    return f"{how}, {recovered(project, version)}"


@row(50, "the orchestrator gets no more memory")
def memory(scene: Scene) -> str:
    """`prlimit --as` in the middle of a run: it stops, closed, and goes on when it has room again."""
    return _starved(scene, "memory")


@row(50, "the orchestrator gets no more files")
def files(scene: Scene) -> str:
    """`prlimit --nofile` in the middle of a run."""
    return _starved(scene, "files")


@row(50, "the orchestrator gets no more processes")
def processes(scene: Scene) -> str:
    """A cgroup that is full in the middle of a run."""
    return _starved(scene, "processes")


@row(8, "the disk of the orchestrator is full")
def full(scene: Scene) -> str:
    """Fill it in the middle of a run: no effect without its intent; with space again the run goes on to its end."""
    needs("mount", root=True)
    project = Small(scene.folder / "project")
    project.root.mkdir()
    scene.end.callback(project.clean)
    state = scene.end.enter_context(mounted(project.state, "-t", "tmpfs", "-o", "size=48m", "tmpfs"))
    project.lay(elsewhere=scene.folder / "hosts")
    scene.end.callback(project.free)
    project.promote(project.make())
    version, after = project.make(), scene.rng.choice((0, 4096, 65536, 262144))
    early = scene.rng.random() < 0.3
    if early:
        made = _fill(state, after)
        process = project.begin(version)
    else:
        process = project.halfway(version)
        made = _fill(state, after)
        project.free()
    code, said = ended(process, 150)
    if early:
        assert project.marks(0).count(version) == 0 or code == 0, "an effect without a record"
    for file in made:
        file.unlink()
    where = f"{'before' if early else 'in the middle of'} the run, {after} bytes left: {code}"
    last = project.status(EDGE)["last_run"]
    if last["release"] is None or last["release"]["version"] != version:
        assert code != 0, said[-500:]
        return f"{where}; nothing was begun"
    if last["ended_at"]:
        return f"{where}; {project.judge(project.last(), 'succeeded', 'rolled back', 'failed')}"
    return f"{where}; {recovered(project, version)}"
