"""Rows 36 to 38: the way back fails in part, leads to what is not there any more, or does not exist."""

from orchestrator.hosts import loopback
from tests.campaigns.chaos.parts import EDGE, ended, revive, small, until
from tests.campaigns.chaos.table import Scene, row


@row(36, "the rollback itself fails on one of two hosts")
def fails(scene: Scene) -> str:
    """A host dies while it is put back: the run needs a person, each host is told, and a rollback later ends it."""
    project = small(scene)
    good, bad = project.good_release(), project.make("web2")
    victim = scene.rng.randrange(2)
    host = project.hosts[victim]
    scene.end.callback(revive, host)
    before = [project.marks(number).count(good) for number in (0, 1)]
    process = project.begin(bad)
    until(lambda: bad in project.marks(1) or process.poll() is not None, "the bad release is on both hosts")
    project.hold(victim)
    until(
        lambda: project.marks(victim).count(good) > before[victim] or process.poll() is not None, "it is put back there"
    )
    loopback.end_processes(host)
    project.free()
    code, said = ended(process)
    assert code == 5, f"{code}: {said[-800:]}"
    assert "rolled back:" not in said.splitlines()[-1]
    known = {item["host"]: item["truth"] for item in project.status(EDGE)["hosts"]}
    assert known[host.name] == "unknown", known
    assert project.releases(EDGE)[project.hosts[1 - victim].name] == good
    run = project.last()
    revive(host)
    project.run("observe", EDGE)
    project.judge(run, "needs intervention")
    project.run("rollback", EDGE, "--yes", code=None)
    assert set(project.releases(EDGE).values()) == {good}, project.releases(EDGE)
    project.judge(project.last(), "succeeded", "rolled back")
    return f"{host.name} unknown, the other back at {good}; a rollback later put both back"


@row(37, "the release to go back to is gone or damaged")
def missing(scene: Scene) -> str:
    """Take the verified release out of the store, or turn a bit of it: the promotion is refused before any effect."""
    project = small(scene)
    good, version = project.good_release(), project.make()
    digest = project.run("package", "show", good, "--json").json["digest"].removeprefix("sha256:")
    kept = project.state / "packages" / digest
    sealed = next(path for path in kept.parent.glob(f"{digest}.*") if path.is_file())
    away = project.state / "packages-away"
    kind = scene.rng.choice(("gone", "damaged"))
    if kind == "gone":
        sealed.rename(away)
        scene.end.callback(away.rename, sealed)
    else:
        victim = next(path for path in sorted(kept.rglob("*.yml")) if "playbooks" in path.parts)
        data, mode = victim.read_bytes(), victim.stat().st_mode
        victim.parent.chmod(0o755)
        victim.chmod(0o644)
        victim.write_bytes(data.replace(b"web", b"wex"))

        def mend() -> None:
            victim.write_bytes(data)
            victim.chmod(mode)

        scene.end.callback(mend)
    said = project.promote(version, code=None)
    assert said.code in {1, 3}, f"{kind}: {said.code}: {said.err[-800:]}"
    assert [project.marks(number).count(version) for number in (0, 1)] == [0, 0]
    assert set(project.releases(EDGE).values()) == {good}
    return f"{kind}: refused with {said.code}: {said.err.strip().splitlines()[-1][:100]}"


@row(38, "a point of no return before the rollback")
def no_return(scene: Scene) -> str:
    """A step that cannot be undone: said beforehand, no rollback by itself, and none by hand without the word for it."""
    project = small(scene)
    good, version = project.good_release(), project.make("web2")
    project.replace(f"releases/{version}/release.yaml", "hosts: web, rollout", "hosts: web, undo: impossible, rollout")
    plan = project.run("plan", f"releases/{version}", "--to", EDGE, code=None)
    assert "deploy cannot be undone" in plan.out + plan.err, plan.out[-800:]
    unnamed = project.promote(version, code=3)
    assert "--point-of-no-return deploy" in unnamed.err, unnamed.err[-800:]
    said = project.promote(version, "--point-of-no-return", "deploy", code=5)
    run = project.last()
    assert project.story(EDGE)["run"]["state"] == "needs intervention", said.err[-500:]
    refused = project.run("rollback", EDGE, "--yes", code=None)
    assert refused.code in {1, 3}, f"{refused.code}: {refused.err[-500:]}"
    assert version in project.releases(EDGE).values()
    project.judge(run, "needs intervention")
    project.run("rollback", EDGE, "--yes", "--skip-irreversible")
    assert set(project.releases(EDGE).values()) == {good}
    project.judge(project.last(), "succeeded", "rolled back")
    return f"said in the plan, refused with {refused.code}, and done with --skip-irreversible"
