"""A promotion that waits for its approval on the real engines, and what changes between approval and start."""

import subprocess
from typing import Any

import pytest

from tests.journeys.conftest import Project

PLACE = "production"
FILE = f"environments/{PLACE}/environment.yaml"


class Office:
    """The shop with users: commands of each run with a token of their own."""

    def __init__(self, shop: Project, approvers: tuple[str, ...] = ("bob",)) -> None:
        self.shop, self.tokens = shop, dict[str, str]()
        there = {each["name"] for each in shop.run("people", "list", "--json").json["users"]}
        for name in ("root", "ann", *approvers):
            if name not in there:  # the user of this machine is, where a server is
                shop.run("people", "add", name)
            self.tokens[name] = shop.run("token", "create", "--for", name, "--json").json["token"]
        shop.run("access", "grant", "administrator", "user:root")
        mine = (("release-manager", "ann"), ("approver", "ann"), ("operator", "root"), ("platform-engineer", "root"))
        for role, name in (*mine, *(("approver", name) for name in approvers)):
            self.by("root", "access", "grant", role, f"user:{name}")

    def by(self, name: str, *words: str, code: int = 0) -> Any:
        """What a command of *name* prints with `--json`."""
        before = dict(self.shop.env)
        self.shop.env["ORCHESTRATOR_TOKEN"] = self.tokens[name]
        try:
            said = self.shop.run(*words, "--json", code=code)
            return said.json if said.out.strip().startswith("{") and said.out.count("\n{") == 0 else said
        finally:
            self.shop.env.clear()
            self.shop.env.update(before)

    def started(self, name: str, *words: str) -> "subprocess.Popen[str]":
        """A command of the folder, of *name*, in a process group of its own."""
        self.shop.env["ORCHESTRATOR_TOKEN"] = self.tokens[name]
        try:
            return self.shop.start(*words)
        finally:
            del self.shop.env["ORCHESTRATOR_TOKEN"]

    def request(self) -> str:
        asked = self.by("ann", "promote", "shop-1.2.0", "--to", PLACE)
        assert asked["state"] == "waiting", asked
        return str(asked["request"]["id"])

    def work(self) -> None:
        """A worker starts, does what it can, and ends. Another one at a server does all that it has taken."""
        self.by("root", "worker", "--once")
        self.shop.rest()

    def refused(self, run: str, change: str) -> dict[str, Any]:
        """Bob approves, then *change* is made, and a worker starts it: nothing of it happens. The request after that."""
        assert self.by("bob", "approve", run)["state"] == "ready"
        if change:
            getattr(self, change)(run)
        before = self.shop.releases(PLACE)
        self.work()
        assert self.shop.releases(PLACE) == before
        seen: dict[str, Any] = self.by("root", "approvals", run)
        return seen

    def definition(self, _run: str) -> None:
        file = f"environments/{PLACE}/__main__.py"
        self.shop.write(file, (self.shop.root / file).read_text() + "# changed after the approval\n")

    def inventory(self, _run: str) -> None:
        self.shop.replace("inventories/extra.yml", "blue", "red")

    def base(self, _run: str) -> None:
        self.by("root", "rollback", PLACE, "--to", "1.0.0", "-y")

    def plan(self, run: str) -> None:
        digest = self.by("root", "approvals", run)["request"]["plan"].removeprefix("sha256:")
        file = self.shop.state / "plans" / digest / "plan.json"
        file.write_text(file.read_text().replace('"automatic_rollback": true', '"automatic_rollback": false'))

    def package(self, run: str) -> None:
        digest = self.by("root", "approvals", run)["request"]["package"].removeprefix("sha256:")
        file = min((self.shop.state / "packages" / digest / "content").rglob("*.yml"))
        file.chmod(0o600)
        file.write_text(file.read_text() + "# changed after the approval\n")


def codes(shop: Project) -> str:
    """The error code with which the last run in production ended; empty if it succeeded."""
    ended = shop.story(PLACE)["run"]
    with shop.opened() as app:
        records = app.store.records(ended["id"])
    failure = next(record.data for record in reversed(records) if record.kind == "ended")["failure"]
    return str(failure["code"]) if failure else ""


@pytest.mark.timeout(1500)
def test_what_changes_after_the_approval_is_refused_before_any_effect(shop: Project) -> None:
    """A change of definition, inventory, base state, plan or package after the approval is refused with a reason of its own; restarts of workers start nothing unapproved, and the requester's own vote is refused."""
    shop.replace("environments/staging/Pulumi.yaml", "default: 2", "default: 1")
    shop.replace("environments/production/Pulumi.yaml", "default: 4", "default: 1")
    shop.replace("environments/production/__main__.py", '"7,5"', '"7.5"')
    for version in ("1.0.0", "1.1.0"):
        shop.run("promote", f"releases/{version}")
    shop.run("promote", "releases/1.2.0", "--to", "staging")
    shop.write("inventories/extra.yml", "all: {vars: {colour: blue}}\n")
    more = "approvals: {count: 1}\ninventory: {files: [inventories/extra.yml]}\n"
    shop.write(FILE, (shop.root / FILE).read_text() + more)
    office = Office(shop)
    run = office.request()
    error = office.by("ann", "approve", run, code=3)["errors"][0]
    assert error["code"] == "A204"
    for _ in range(3):
        office.work()
    assert office.by("root", "approvals", run)["state"] == "waiting"

    reasons = []
    for change in ("definition", "inventory", "base"):
        seen = office.refused(run, change)
        assert (seen["state"], seen["approval"]["satisfied"]) == ("waiting", False), seen
        reasons.append(tuple(seen["request"]["differences"]))
        assert codes(shop) == ("" if change == "base" else "R120")  # what another release has overtaken is not started
    assert reasons[0] == ("the environment's definition",)
    assert "the hosts" in reasons[1]
    assert "what runs on the hosts" in reasons[2]
    assert len(set(reasons)) == 3

    waiting = office.started("ann", "promote", "shop-1.2.0", "--to", PLACE, "--wait")
    assert waiting.stderr is not None
    for line in waiting.stderr:  # it records its plan first, and then follows the request
        if "waiting for 1 of 1 approval" in line:
            break
    assert office.by("bob", "approve", run)["state"] == "ready"
    _, said = waiting.communicate(timeout=300)
    assert waiting.returncode == 0, said
    assert set(shop.releases(PLACE).values()) == {"1.2.0"}
    assert office.by("root", "approvals", run)["state"] == "finished"
    office.by("root", "rollback", PLACE, "--to", "1.0.0", "-y")
    assert set(shop.releases(PLACE).values()) == {"1.0.0"}

    ends = []
    for change in ("plan", "package"):
        again = office.by(
            "ann", "promote", "shop-1.2.0", "--to", PLACE, "--allow-rolled-back", "-m", "the review is done"
        )
        office.refused(str(again["request"]["id"]), change)
        ends.append(codes(shop))
    assert ends[0] == "R122"
    assert ends[1].startswith("P")
