"""A rehearsal of the rollback is queued by a form."""

import pytest

from tests.cli.request_project import PLACE, RequestProject, office
from tests.server.site import HTML, Site

__all__ = ["office"]  # the fixture


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with two releases, of which one runs in staging."""
    office.go("staging", "1.0.0")
    office.packages.put(office.release("1.1.0"))
    return Site(office, office.app())


def test_an_operator_rehearses_a_release_by_a_form(office: RequestProject, site: Site) -> None:
    """The page of a promotion names what a rehearsal does, and queues it for workers; a viewer has no form."""
    olga, vic = site.signed_in("olga"), site.signed_in("vic")
    page = "/promote?release=shop-1.1.0&environment=staging"
    assert 'action="/rehearse"' in olga.get(page, **HTML).text
    assert 'action="/rehearse"' not in vic.get(page, **HTML).text
    fields = {"release": "shop-1.1.0", "environment": "staging"}
    assert "A101" in vic.form("/rehearse", **fields).text
    done = olga.form("/rehearse", **fields)
    assert done.status_code == 303, done.text
    run = done.headers["location"].removeprefix("/runs/")
    queued = office.store.run(run)
    assert (queued.kind, queued.by, str(queued.release and queued.release.version)) == ("rehearsal", "olga", "1.1.0")
    assert office.store.work(queued.root).queue == "default"


def test_a_rehearsal_that_needs_approvals_is_not_queued(office: RequestProject, site: Site) -> None:
    """An environment with approvals has no such form, and refuses it (A201) with the command that requests it."""
    ann = site.signed_in("ann")
    page = f"/promote?release=shop-1.0.0&environment={PLACE}"
    assert 'action="/rehearse"' not in ann.get(page, **HTML).text
    refused = ann.form("/rehearse", release="shop-1.0.0", environment=PLACE).text
    assert ("A201" in refused, f"orchestrator rehearse shop-1.0.0 --in {PLACE}" in refused) == (True, True)
