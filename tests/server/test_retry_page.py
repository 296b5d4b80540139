"""A run that needs intervention is retried from its page."""

import re

import pytest

from orchestrator.domain.promotion import State
from tests.cli.request_project import RequestProject, office
from tests.server.site import HTML, Site

__all__ = ["office"]  # the fixture


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project whose rollbacks are manual."""
    text = (office.folder / "environments/staging/environment.yaml").read_text()
    (office.folder / "environments/staging/environment.yaml").write_text(f"{text}rollback: {{automatic: false}}\n")
    return Site(office, office.app())


def test_a_run_that_needs_intervention_is_retried_by_a_form(office: RequestProject, site: Site) -> None:
    """An operator retries a run from its page, from the failed step or an earlier one; others and other runs have no form."""
    office.packages.put(office.release("1.0.0"))
    run = office.request("staging", "1.0.0")
    olga, vic = site.signed_in("olga"), site.signed_in("vic")
    path = f"/runs/{run.id}/retry"
    assert path not in olga.get(f"/runs/{run.id}", **HTML).text
    office.world.faults.add(("deploy", "s1", "1.0.0"))
    assert office.execute(run.id).state is State.NEEDS_INTERVENTION
    page = olga.get(f"/runs/{run.id}", **HTML).text
    assert path in page
    steps = re.findall(r"<option>([^<]+)</option>", page)
    assert [step for step in steps if "deploy" in step], steps
    assert path not in vic.get(f"/runs/{run.id}", **HTML).text
    assert "A101" in vic.form(path).text
    assert "R142" in olga.form(path, step="none").text
    office.world.faults.clear()
    done = olga.form(path)
    assert done.status_code == 303, done.text
    again = done.headers["location"].removeprefix("/runs/")
    assert (again != run.id, office.store.run(again).by) == (True, "olga")
    assert office.store.work(office.store.run(again).root).queue == "default"
    assert office.execute(again).state is State.SUCCEEDED
    assert "R151" in olga.form(path).text
