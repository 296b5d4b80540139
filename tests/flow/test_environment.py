"""An environment by itself, on the world in memory."""

from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.promotion import State
from orchestrator.flow import COURSES
from orchestrator.flow.course import Course
from tests.flow.test_promotion import MemoryDurable, Stage


def test_resolving(tmp_path):
    """A person's decision about interrupted creates is a run of its own: it holds the environment, reaches Pulumi, and gives the environment back."""
    stage = Stage(tmp_path)
    setting = stage.setting()
    run = Run(id="r-staging", root="r", kind="resolve", environment="staging")
    setting.store.create(run)
    about = {"created": {"urn:a": "1"}, "absent": ["*"], "why": "looked"}
    setting.store.append(run.id, [Entry(kind="requested", data={"about": about}, key="requested")])
    ended = COURSES["resolve"](Course(setting, MemoryDurable({}), run))
    assert (ended.state, ended.message) == (State.SUCCEEDED, "staging is settled")
    assert stage.world.ledger == ["resolve staging: urn:a=1 *"]
    assert setting.store.lease("staging") is None
