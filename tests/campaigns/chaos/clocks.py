"""Rows 16 and 17: clocks that jump, stand still or change their zone. The machine's own clock is left alone."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

from orchestrator.wiring import open_app
from tests.campaigns.chaos.parts import EDGE, Small, ended, small, until
from tests.campaigns.chaos.processes import recovered
from tests.campaigns.chaos.table import NotHere, Scene, needs, row

PASSED = ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE", "FAKETIME_NO_CACHE", "DONT_FAKE_MONOTONIC")
STILL = "2026-03-29 00:59:59"
JUMPS = ("+3600", "-3600", "+3650d", "-3650d", STILL)


def _fake(scene: Scene) -> tuple[dict[str, str], Callable[[str], object]]:
    """What makes a process believe another time of day, and a way to say which. Raises `NotHere`."""
    needs()
    package = find_spec("libfaketime")
    library = Path(str(package and package.origin)).parent / "vendor/libfaketime/src/libfaketime.so.1"
    if not library.exists():
        raise NotHere("needs the development dependency libfaketime, which has no build for this machine")
    said = scene.folder / "time"
    said.write_text("+0\n")
    return dict(zip(PASSED, (str(library), str(said), "1", "1"), strict=True)), said.write_text


@row(16, "the clock jumps by hours and years, backwards, and stands still")
def jumps(scene: Scene) -> str:
    """While a promotion goes on its time of day is changed, for Ansible too and not for the hosts: it ends well."""
    variables, tell = _fake(scene)
    project = small(scene)
    file = project.root / "environments/edge/environment.yaml"
    scene.end.callback(file.write_text, file.read_text())
    file.write_text(f"{file.read_text()}ansible: {{environment: {json.dumps(PASSED)}}}\n")
    version, told = project.make(), [*scene.rng.sample(JUMPS, 2), scene.rng.choice(JUMPS[:4])]
    project.hold(0, 1)
    process = project.begin(version, **variables)
    for number, jump in enumerate(told[:2]):
        until(lambda: version in project.marks(number) or process.poll() is not None, "a host is worked on")  # noqa: B023
        tell(f"{jump}\n")
        time.sleep(scene.rng.uniform(0, 1.5))
        if jump == STILL:  # nothing that waits for a time of day would ever end
            tell("+0\n")
        (Path(project.hosts[number].root) / "hold").unlink()
    tell(f"{told[2]}\n")
    code, said = ended(process)
    assert code in {0, 8, 130}, f"{code}: {said[-800:]}"
    what = recovered(project, version) if code else project.judge(project.last(), "succeeded")
    project.once(version)
    app = open_app(project.root, project.environ())
    seqs = [record.seq for record in app.store.records(project.last())]
    app.close()
    assert seqs == list(range(1, len(seqs) + 1))
    return f"{', '.join(told)}, ended with {code}: {what}"


@row(17, "summer time begins under a lock, in several zones")
def zones(scene: Scene) -> str:
    """A lock for an hour lasts an hour whatever the clock of the zone does, and outside of a window a promotion is refused."""
    variables, tell = _fake(scene)
    project = small(scene)
    told = []
    for zone, at in (
        ("Europe/Berlin", "2026-03-29 01:30:00"),
        ("Europe/Berlin", "2026-10-25 02:30:00"),
        ("America/New_York", "2026-11-01 01:30:00"),
        ("Australia/Lord_Howe", "2026-10-04 01:45:00"),
    ):
        project.env = {**variables, "TZ": zone}
        away = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone)) - datetime.now(UTC)
        tell(f"{int(away.total_seconds()):+d}\n")
        try:
            held = project.run("lock", EDGE, "-m", "a change", "--for", "1h", "--json").json
            project.env = {**variables, "TZ": scene.rng.choice(("UTC", "Asia/Kolkata", "Pacific/Apia"))}
            status = project.run("lock", "status", "--json").json["environments"][EDGE]
        finally:
            project.run("unlock", EDGE, code=None)
            project.env = {}
        lasts = _when(held["until"]) - _when(held["since"])
        assert timedelta(minutes=59) < lasts < timedelta(minutes=61), f"{zone}: {lasts}"
        assert status is not None, f"{zone}: the lock was over in another zone"
        assert _when(status["until"]) == _when(held["until"])
        told.append(zone)
    _windows(scene, project)
    return f"{', '.join(told)}: an hour is an hour; a closed environment is refused with A301"


def _windows(scene: Scene, project: Small) -> None:
    file = project.root / "environments/edge/environment.yaml"
    scene.end.callback(file.write_text, file.read_text())
    over = "{title: past, start: '2020-01-01T01:00', end: '2020-01-01T03:00', zone: Europe/Berlin}"
    file.write_text(f"{file.read_text()}windows: [{over}]\n")
    said = project.promote(project.make(), code=3)
    assert "A301" in said.err, said.err


def _when(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
