"""Rows 18 to 26: hosts that die, hang, come back or are others, and networks that lose what is sent."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.step import StepResult
from orchestrator.hosts import loopback
from tests.adapters.ansible.conftest import FILES, Stage, named, outcomes
from tests.campaigns.chaos.parts import EDGE, PLAYBOOK, RESTART, ended, revive, small, stage, through, until
from tests.campaigns.chaos.proxy import DOWN
from tests.campaigns.chaos.table import Scene, row

HELD = PLAYBOOK.replace("{restart}", RESTART)
BIG = "".join(f"{random.Random(4711).getrandbits(64):x}\n" for _ in range(3)) + "".join(
    f"{number:x}{random.Random(number).getrandbits(400):x}\n" for number in range(1500)
)  # about 150 kB that do not become much smaller on the way
PLAYS = {**FILES, "plays/deploy.yml": HELD, "app/file.txt": BIG}


class Going:
    """A play that goes on in a thread."""

    def __init__(self, made: Stage, run: str, fence: int, **more: Any) -> None:
        self.result: StepResult | None = None
        self._work: Callable[[], StepResult] = lambda: made.deploy("deploy.yml", run, fence, **more)
        self._thread = threading.Thread(target=self._do)
        self._thread.start()

    def _do(self) -> None:
        self.result = self._work()

    def wait(self, patience: float = 120.0) -> StepResult:
        """What came of it."""
        self._thread.join(patience)
        assert self.result is not None, f"it has not ended in {patience:.0f} s"
        return self.result


def _hold(scene: Scene, made: Stage, number: int) -> Path:
    """Let plays stand still on a host, until the file is gone."""
    hold = Path(made.hosts[number].root) / "hold"
    hold.touch()
    scene.end.callback(hold.unlink, missing_ok=True)
    return hold


def _complete(host: loopback.Host) -> None:
    """See that every release on the host is complete, and nothing half-written lies under a final name."""
    root = Path(host.root)
    for folder in root.glob("releases/[!.]*"):
        about = json.loads((folder / ".orchestrator-release.json").read_text())
        assert about["sha256"], f"{folder.name} is not complete"
        assert (folder / "file.txt").read_text() == BIG, f"{folder.name} holds something else"
    if (root / "current").is_symlink():
        assert (root / "current" / "file.txt").read_text() == BIG


@row(18, "a host dies in the middle of its batch")
def dies(scene: Scene) -> str:
    """Pull the plug of a host of the first batch: it is unknown, and no other is touched."""
    project = small(scene)
    version, host = project.make(), project.hosts[0]
    scene.end.callback(revive, host)
    process = project.halfway(version)
    loopback.end_processes(host)
    code, said = ended(process)
    assert code == 5, f"{code}: {said[-800:]}"
    truths = {known["host"]: known["truth"] for known in project.status(EDGE)["hosts"]}
    assert truths["web1"] == "unknown", truths
    assert version not in project.marks(1), "the next batch was begun"
    run = project.last()
    project.free()
    revive(host)
    project.run("observe", EDGE)
    state = project.judge(run, "needs intervention")
    return f"web1 unknown, web2 untouched, the run {state}"


@row(19, "a host reboots in the middle of a step, and returns", quick=True)
def reboots(scene: Scene) -> str:
    """End everything on a host and start it again: its ledger says what is done, and the rest is done once."""
    made = stage(scene, files=PLAYS)
    hold = _hold(scene, made, 1)
    going = Going(made, "r1", 1)
    until(lambda: made.marks() == [1, 1], "both hosts work")
    loopback.end_processes(made.hosts[1])
    hold.unlink()
    revive(made.hosts[1])
    first = going.wait()
    assert outcomes(first) == ["succeeded", "unknown"], outcomes(first)
    assert made.lines(1)[-1]["outcome"] == "began"
    second = made.deploy("deploy.yml", "r1", 1, step="deploy.1~2")
    assert outcomes(second) == ["succeeded", "succeeded"], second.message
    assert made.marks() == [1, 2], made.marks()
    return "unknown, then done by its ledger; the other was left alone"


@row(20, "sshd accepts, and never answers")
def hangs(scene: Scene) -> str:
    """SIGSTOP of the server, or of all on the host in the middle of a step: bounded, and the others go on."""
    made = stage(scene, files=PLAYS)
    host = made.hosts[1]
    middle = scene.rng.random() < 0.5
    stopped = list[int]()

    def go_on() -> None:
        for process in stopped:
            os.kill(process, signal.SIGCONT)

    scene.end.callback(go_on)
    hold = _hold(scene, made, 1)
    began = time.monotonic()
    if middle:
        going = Going(made, "r1", 1, timeout=20.0)
        until(lambda: made.marks() == [1, 1], "both hosts work")
        stopped += loopback.processes(host)
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
    else:
        stopped += loopback._server(host)
        os.kill(stopped[0], signal.SIGSTOP)
        going = Going(made, "r1", 1, timeout=60.0)
    first = going.wait()
    took = time.monotonic() - began
    assert took < 45, f"it took {took:.0f} s"
    assert outcomes(first)[1] == "unknown", (outcomes(first), first.message)
    hold.unlink()
    go_on()
    stopped.clear()
    second = made.deploy("deploy.yml", "r1", 1, step="deploy.1~2")
    assert second.good, second.message
    assert made.marks() == [1, 1], made.marks()
    return f"{'in the middle' if middle else 'from the beginning'}: unknown after {took:.0f} s, then done once"


@row(21, "a slow network that stalls")
def slow(scene: Scene) -> str:
    """Up to 800 ms a packet and 64 kbit/s, with stalls: it comes through, once."""
    made = stage(scene, files={**PLAYS, "app/file.txt": "small\n"})
    proxy = through(scene, made)
    proxy.faults.delay, proxy.faults.rate = scene.rng.choice((0.1, 0.3, 0.8)), scene.rng.choice((8e3, 32e3))
    over = threading.Event()

    def stalls() -> None:
        while not over.wait(scene.rng.uniform(0.5, 3)):
            proxy.faults.stalled = True
            over.wait(scene.rng.uniform(0.2, 1.5))
            proxy.faults.stalled = False

    thread = threading.Thread(target=stalls)
    thread.start()
    began = time.monotonic()
    try:
        result = made.deploy("deploy.yml", "r1", 1)
    finally:
        over.set()
        thread.join()
    assert outcomes(result) == ["succeeded", "succeeded"], result.message
    assert made.marks() == [1, 1], made.marks()
    sent = sum(proxy.bytes.values())
    return f"{1000 * proxy.faults.delay:.0f} ms, {proxy.faults.rate / 1e3:.0f} kB/s: {sent} bytes in {time.monotonic() - began:.0f} s"


@row(22, "a partition while a release is made current, and it heals")
def partition(scene: Scene) -> str:
    """The remote half goes on alone; somebody with a higher fence comes by another way; whoever returns is refused."""
    made = stage(scene, files=PLAYS)
    direct, proxy = made.inventory, through(scene, made)
    behind = made.inventory
    hold = _hold(scene, made, 1)
    going = Going(made, "r1", 1, timeout=15.0)
    until(lambda: made.marks() == [1, 1], "both hosts work")
    proxy.faults.stalled = True
    first = going.wait()
    assert outcomes(first)[1] == "unknown", outcomes(first)
    made.inventory = direct
    other = Going(made, "r2", 2)
    time.sleep(scene.rng.uniform(0, 3))
    hold.unlink()
    assert other.wait().good
    proxy.faults.stalled = False
    made.inventory = behind
    late = made.deploy("deploy.yml", "r1", 1, step="deploy.1~2")
    assert late.data.get("code") == "D140", late.message
    fences = [line["fence"] for line in made.lines(1)]
    assert fences == sorted(fences), f"the host took fences in the order {fences}"
    return f"{len(fences)} lines in its ledger, the newest fence {fences[-1]}; fence 1 was refused"


@row(23, "the replies are lost")
def asymmetric(scene: Scene) -> str:
    """What was sent arrives and is done, and nobody is told: unknown, then observed, and not done again."""
    made = stage(scene, files=PLAYS)
    proxy = through(scene, made)
    hold = _hold(scene, made, 1)
    going = Going(made, "r1", 1, timeout=15.0)
    until(lambda: made.marks() == [1, 1], "both hosts work")
    proxy.faults.lost = frozenset({DOWN})
    hold.unlink()
    first = going.wait()
    assert outcomes(first)[1] == "unknown", outcomes(first)
    assert made.lines(1)[-1]["outcome"] == "done", "the host has not done it"
    proxy.faults.lost = frozenset()
    second = made.deploy("deploy.yml", "r1", 1, step="deploy.1~2")
    assert outcomes(second) == ["succeeded", "succeeded"], second.message
    assert made.marks() == [1, 1], made.marks()
    return "unknown, though done; then known by its ledger, and done once"


@row(24, "a reset at byte N of the upload", quick=True)
def cut(scene: Scene) -> str:
    """Cut the connection at a few places: nothing half-written under a final name, and then it comes through."""
    made, places = stage(scene, files=PLAYS), list[int]()
    proxy = through(scene, made)
    result = None
    for attempt in range(1, 4):
        proxy.faults.cut = int(10 ** scene.rng.uniform(0 if attempt == 1 else 3.3, 5))
        places.append(proxy.faults.cut)
        result = made.deploy("deploy.yml", "r1", 1, step=f"deploy.1~{attempt}")
        _complete(made.hosts[1])
        assert made.marks()[0] == 1, made.marks()
    proxy.faults.cut = None
    result = made.deploy("deploy.yml", "r1", 1, step="deploy.1~4")
    assert result.good, result.message
    _complete(made.hosts[1])
    assert made.marks() == [1, 1], made.marks()
    return f"cut at bytes {', '.join(map(str, places))} ({proxy.resets} resets), then complete"


@row(25, "an artifact is changed on its way")
def flipped(scene: Scene) -> str:
    """Turn a bit in transit: it never becomes current, and the next attempt brings the right one."""
    made = stage(scene, files=PLAYS)
    proxy = through(scene, made)
    proxy.faults.flip = scene.rng.randint(6_000, 60_000)
    first = made.deploy("deploy.yml", "r1", 1)
    assert outcomes(first)[0] == "succeeded", first.message
    assert outcomes(first)[1] in {"unknown", "failed"}, outcomes(first)
    _complete(made.hosts[1])
    assert made.marks() == [1, 0], made.marks()
    at, proxy.faults.flip = proxy.faults.flip, None
    assert made.deploy("deploy.yml", "r1", 1, step="deploy.1~2").good
    _complete(made.hosts[1])
    return f"a bit of byte {at}: refused, and then complete"


@row(25, "a kept package is changed on its disk")
def tampered(scene: Scene) -> str:
    """Turn a bit of a package in the store: it is refused before any effect, by name."""
    project, good = small(scene), small(scene).good_release()
    version = project.make()
    project.run("build", f"releases/{version}")
    digest = project.run("package", "show", version, "--json").json["digest"].removeprefix("sha256:")
    files = sorted(path for path in (project.state / "packages" / digest).rglob("*") if path.is_file())
    victim = scene.rng.choice([path for path in files if path.stat().st_size])
    data = bytearray(victim.read_bytes())
    data[scene.rng.randrange(len(data))] ^= 1 << scene.rng.randrange(8)
    victim.parent.chmod(0o755)
    victim.chmod(0o644)
    victim.write_bytes(data)
    said = project.run("promote", version, code=None)
    running = set(project.releases(EDGE).values())
    assert said.code in {1, 2, 3}, f"{victim.name}: {said.code}: {said.err[-500:]}"
    assert running == {good}, running
    return f"{victim.name}: refused with {said.code}"


@row(26, "another host answers at the address", quick=True)
def impostor(scene: Scene) -> str:
    """The proxy leads to a host with another key: it is unknown, and nothing is sent to it."""
    made = stage(scene, files=PLAYS)
    proxy = through(scene, made)
    proxy.target = (made.hosts[0].address, made.hosts[0].port)
    result = made.deploy("deploy.yml", "r1", 1)
    assert outcomes(result) == ["succeeded", "unknown"], result.message
    assert "host key" in named(result)["web2"].message.lower(), named(result)["web2"].message
    assert made.marks() == [1, 0], made.marks()
    return f"unknown and untouched after {proxy.bytes['up']} bytes of greeting"


def gone(made: Stage, number: int = 1) -> None:
    """Let the inventory lead to nothing where a host is."""
    name = made.hosts[number].name
    hosts = {**made.inventory.hosts, name: {**made.inventory.hosts[name], "ansible_port": 9}}
    made.inventory = Inventory(hosts=hosts, groups=made.inventory.groups)
