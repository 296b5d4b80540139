"""Pages of reviews and actions: facts, feedback, close code and actions, without JavaScript and by right."""

import pytest

from tests.cli.request_project import RequestProject, office
from tests.server.release_scene import EVIL, lay_review
from tests.server.site import Site

__all__ = ["office"]  # the fixture


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def test_a_review_is_opened_written_and_closed_by_forms(office: RequestProject, site: Site) -> None:
    """A release manager opens a review and writes it, others give feedback, and its close code and actions are recorded."""
    run = office.go("staging", "1.0.0").id
    ann, olga = site.signed_in("ann"), site.signed_in("olga")
    page = ann.get("/reviews").text
    assert "There are no such reviews." in page
    assert "orchestrator worker --once" in page
    path = f"/reviews/{run}"
    assert ann.form("/reviews", subject=run).headers.get("location") == path
    assert "G502" in ann.form("/reviews", subject=run).text
    written = ann.form(
        f"{path}/write", went_well="quick\r\nand quiet", went_badly="", lead="olga", due="2031-01-01T08:00"
    )
    assert written.status_code == 303, written.text
    assert olga.form(f"{path}/feedback", text="search is faster", rating="5").status_code == 303
    assert "5 of 5" in olga.get(path).text
    added = ann.form(f"{path}/actions", title="Watch the disk", owner="olga", due="2031-01-02T08:00")
    assert added.status_code == 303, added.text
    assert f'href="{path}"' in olga.get("/").text
    assert "Watch the disk" in olga.get("/").text
    assert "N110" in ann.form(f"{path}/close", code="fine").text
    assert ann.form(f"{path}/close", code="successful", conclusion="it held").status_code == 303
    shown = office.by("vic", "review", "show", run)["review"]
    assert (shown["close_code"], shown["conclusion"], shown["went_well"]) == (
        "successful",
        "it held",
        "quick\nand quiet",
    )
    assert "G501" in ann.form(f"{path}/write", went_well="x").text
    assert f'action="{path}/write"' not in ann.get(path).text
    assert run in ann.get("/reviews?ended=true").text
    assert run not in ann.get("/reviews").text.split("<main")[1]


def test_an_owner_ends_an_action_and_others_do_not(office: RequestProject, site: Site) -> None:
    """An overdue action is on home of its owner, who records that it was done; only a release manager cancels one."""
    run = lay_review(office)
    ann, olga, bob = site.signed_in("ann"), site.signed_in("olga"), site.signed_in("bob")
    assert "was due" in olga.get("/").text
    assert "Watch the disk" not in bob.get("/").text
    page = olga.get("/actions?mine=true").text
    assert ("overdue" in page, "/actions/A-1/done" in page, "/actions/A-1/cancel" in page) == (True, True, False)
    assert "/actions/A-1/cancel" in ann.get("/actions").text
    assert "/actions/A-1/" not in bob.get("/actions").text
    assert "A101" in bob.form("/actions/A-1/done").text
    assert "A101" in olga.form("/actions/A-1/cancel", reason="x").text
    assert "N110" in ann.form("/actions/A-1/cancel").text
    done = olga.form("/actions/A-1/done", reason="ordered", back="/actions")
    assert done.headers.get("location") == "/actions"
    assert "G101" in ann.form("/actions/A-1/cancel", reason="x").text
    assert "G101" in olga.form("/actions/A-1/done", back="https://evil.example").text
    assert "There are no such actions." in olga.get("/actions").text
    assert "ordered" in olga.get(f"/reviews/{run}").text
    hits = olga.get("/api/v1/search?q=disk").json()["hits"]
    assert [(hit["kind"], hit["path"]) for hit in hits] == [("action", f"/reviews/{run}#A-1")]


def test_wrong_fields_of_reviews_are_refused_with_their_names(office: RequestProject, site: Site) -> None:
    """A field that cannot be used is refused with its name, and never as an internal error."""
    run = lay_review(office)
    ann = site.signed_in("ann")
    for path, fields, word in (
        ("", {"subject": ""}, "subject:"), ("", {"subject": "moon"}, "R101"),
        (f"/{run}/write", {"due": "soon"}, "due:"), (f"/{run}/write", {"lead": "moon"}, "A110"),
        (f"/{run}/write", {"went_well": "x" * 10_001}, "went_well:"), (f"/{run}/feedback", {"text": ""}, "text:"),
        (f"/{run}/feedback", {"text": "x" * 201}, "text:"), (f"/{run}/feedback", {"text": "x", "rating": "6"}, "rating:"),
        (f"/{run}/actions", {"title": "x", "owner": "ann"}, "due:"),
        (f"/{run}/actions", {"title": "x" * 201, "owner": "ann", "due": "2031-01-01T08:00"}, "title:"),
        (f"/{run}/actions", {"title": "x", "owner": "moon", "due": "2031-01-01T08:00"}, "A110"),
    ):  # fmt: skip
        answer = ann.form(f"/reviews{path}", **fields)
        assert (path, answer.status_code in {404, 422}, word in answer.text) == (path, True, True)


def test_text_with_markup_is_text_on_every_page_of_a_review(office: RequestProject, site: Site) -> None:
    """What went well, feedback, titles, notes and conclusions with markup are escaped."""
    run = lay_review(office)
    ann = site.signed_in("ann")
    path = f"/reviews/{run}"
    ann.form(f"{path}/write", went_well=EVIL, went_badly=EVIL)
    ann.form(f"{path}/feedback", text=EVIL)
    ann.form(f"{path}/actions", title=EVIL, owner="ann", due="2031-01-01T08:00")
    ann.form(f"{path}/actions", title=EVIL, owner="ann", due="2031-01-01T08:00")
    ann.form("/actions/A-2/done", reason=EVIL)
    for place in ("/", "/reviews", "/actions", "/actions?ended=true", path):
        page = ann.get(place).text
        assert (place, "<img" in page, "<script>alert" in page) == (place, False, False)
    ann.form(f"{path}/close", conclusion=EVIL)
    page = ann.get(path).text
    assert ("<img" in page, page.count("&lt;img") >= 5) == (False, True)
