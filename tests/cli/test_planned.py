"""Pulumi's changes as a person reads them."""

import pytest

from orchestrator.cli import output
from orchestrator.cli.planned import Printer, _step, print_plan, tree
from orchestrator.domain.plan import Plan, PlannedStep, PlaySpec, ResourceChange
from orchestrator.domain.plays import PlannedPlay
from tests.flow.test_plans import FULL


def _change(op: str, name: str, parent: str = "", *properties: str) -> ResourceChange:
    return ResourceChange(op=op, type="shop:Host", name=name, urn=f"urn:{name}", parent=parent, properties=properties)


def test_a_replaced_resource_is_one_line() -> None:
    """What Pulumi tells in three steps of a replaced resource is one line, below its parent and with what differs."""
    steps = ("delete-replaced", "create-replacement", "replace")
    changes = [_change("create", "top"), _change("same", "other")]
    changes += [_change(op, "web1", "urn:top", *(["address"] if op != "delete-replaced" else [])) for op in steps]
    assert tree(tuple(changes)) == ["+ shop:Host top", "  +- shop:Host web1  [address]"]


def test_every_play_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A plan prints each play with its hosts and how often it runs, what batches do to it, and what is unseen."""
    plays = (
        PlannedPlay(name="drain", where="site.yml:1", hosts="localhost", times=2, on=("localhost",),
                    effects=("runs on the controller once per batch: 2 times",), repeats=("load (site.yml:3)",)),
        PlannedPlay(name="web", where="site.yml:9", hosts="web", unseen=("role {{ r }} (site.yml:12)",)),
        PlannedPlay(name="db", where="site.yml:20", hosts="db", times=0, on=()),
    )  # fmt: skip
    play = PlaySpec(step="deploy", playbook="site.yml", hosts="web")
    undo = (PlannedPlay(name="back", where="undo.yml:1", hosts="web", times=1, on=("web1", "web2")),)
    planned = PlannedStep(play=play, batches=(("web1",), ("web2",)), plays=plays, undo="undo.yml", undo_plays=undo)
    _step(1, planned, Printer(output.out, output.out), err=False)
    assert capsys.readouterr().out.splitlines() == [
        "Step 1   deploy: site.yml on [web1] then [web2]",
        "         play drain (site.yml:1): localhost → localhost, 2 times",
        "           ! runs on the controller once per batch: 2 times",
        "           does its work again when the step is repeated: load (site.yml:3)",
        "         play web (site.yml:9): web → hosts known when it runs",
        "           known only when it runs: role {{ r }} (site.yml:12)",
        "         play db (site.yml:20): db → no host",
        "         undo: undo.yml",
        "         play back (undo.yml:1): web → web1, web2, 1 time",
    ]


def test_what_hosts_and_pulumi_are_given_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A plan prints which artifacts hosts unpack, which settings Pulumi has, and which steps a rollback leaves out."""
    artifacts = [{"name": "shop.tar.gz", "unpack": True}, {"name": "app.pyz", "unpack": False}]
    stack = {**FULL["stack"], "settings": {"PULUMI_EXPERIMENTAL": "true"}}
    for action, skipped in (("rollback", "Skipped  "), ("promote", " " * 9)):
        back = {**FULL["rollback_target"], "skipped": FULL["skipped"]}
        print_plan(
            Plan.from_json({**FULL, "action": action, "artifacts": artifacts, "stack": stack, "rollback_target": back})
        )
        lines = capsys.readouterr().out.splitlines()
        assert "Artifact shop.tar.gz: unpacked on hosts" in lines
        assert "Artifact app.pyz: one file on hosts" in lines
        assert "         with PULUMI_EXPERIMENTAL=true" in lines
        release = f"{FULL['release']['name']} {FULL['release']['version']}"
        assert f"{skipped}seed of {release}: not run again (undo: nothing)" in lines
