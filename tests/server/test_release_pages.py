"""Pages of planned releases: reading and changing without JavaScript, with the words and rights of the command line."""

from dataclasses import replace

import pytest

from tests.cli.request_project import RequestProject, office
from tests.management.test_release_notes import DIFFERENCE
from tests.server.release_scene import EVIL, at, lay_plan, lay_release, lay_review
from tests.server.site import Site

__all__ = ["office"]  # the fixture
PATH = "/planned-releases/REL-1"


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def minute(days: float) -> str:
    """A time as the field of a form has it, in UTC."""
    return at(days)[:16]


def test_a_release_is_planned_confirmed_and_held_by_forms(office: RequestProject, site: Site) -> None:
    """A release manager plans a release, adds to its scope, confirms, holds and resumes it: commands show the same."""
    office.packages.put(office.release("1.5.0"))
    ann = site.signed_in("ann")
    page = ann.get("/planned-releases").text
    assert "There are no such planned releases." in page
    assert "orchestrator release plan TITLE" in page
    fields = {"title": "Advent", "environment": "production", "mode": "completion"}
    made = ann.form("/planned-releases", **fields, freeze=minute(5), release=minute(9), owner="")
    assert (made.status_code, made.headers.get("location")) == (303, PATH), made.text
    page = ann.get(PATH).text
    assert "The scope is empty." in page
    assert '<svg class="tl"' in page
    assert "G201" in ann.form(f"{PATH}/confirm").text
    assert ann.form(f"{PATH}/add", packages="shop-1.5.0, demo-2.0.0").status_code == 303
    assert "demo 2.0.0" in ann.get(PATH).text
    assert ann.form(f"{PATH}/remove", packages="demo-2.0.0").status_code == 303
    assert ann.form(f"{PATH}/confirm", wait="yes").status_code == 303
    assert 'href="/bookings/B-1"' in ann.get(PATH).text
    assert ann.form(f"{PATH}/phases/build/start").status_code == 303
    assert "N110" in ann.form(f"{PATH}/hold", reason=" ").text
    assert ann.form(f"{PATH}/hold", reason="an incident").status_code == 303
    assert "an incident" in ann.get(PATH).text
    assert ann.form(f"{PATH}/resume").status_code == 303
    shown = office.by("vic", "release", "show", "REL-1")["release"]
    assert (shown["state"], shown["mode"], shown["packages"][0]["version"]) == ("in-progress", "completion", "1.5.0")


def test_a_phase_moves_after_a_page_showed_what_moves(office: RequestProject, site: Site) -> None:
    """The preview of a phase lists what moves and whom that affects, and changes nothing; then the form changes it."""
    lay_release(office, "--mode", "completion")
    office.by("ann", "release", "confirm", "REL-1")
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    query = f"?name=test&end={minute(11)}&environment=staging&responsible=bob&after=build&preview=yes"
    page = ann.get(f"{PATH}/phase{query}").text
    assert "REL-1 deploy moves by" in page
    assert "affects ann" in page
    assert "Nothing is changed yet." in page
    before = office.by("vic", "release", "show", "REL-1")["release"]["phases"][1]
    assert (before["replanned"], before["environment"]) == (None, None)
    assert "G206" in ann.form(f"{PATH}/phase", name="test", end=minute(-1), after="build").text
    end, wanted = minute(8), {"name": "test", "environment": "staging", "responsible": "bob", "after": "build"}
    assert "Make the change" not in vic.get(f"{PATH}/phase{query}").text
    assert "A101" in vic.form(f"{PATH}/phase", **wanted, end=end).text
    assert ann.form(f"{PATH}/phase", **wanted, end=end, reason="a defect").status_code == 303
    after = office.by("vic", "release", "show", "REL-1")["release"]["phases"][1]
    assert (after["replanned"]["end"][:16], after["environment"], after["responsible"]) == (end, "staging", "bob")
    new = {"name": "load-test", "start": minute(9.5), "end": minute(10), "environment": "-", "after": "test"}
    assert ann.form(f"{PATH}/phase", **new).status_code == 303
    assert "load-test" in ann.get(PATH).text
    for wrong in ({"start": "soon"}, {"name": ""}):
        assert "N110" in ann.form(f"{PATH}/phase", **{**new, **wrong}).text


def test_a_draft_loses_a_phase_and_is_edited(office: RequestProject, site: Site) -> None:
    """The fields of a draft are edited, only those that differ; a phase is removed; wrong fields are named."""
    lay_release(office)
    ann = site.signed_in("ann")
    shown = office.by("vic", "release", "show", "REL-1")["release"]
    same = {
        "title": "Christmas",
        "owner": "ann",
        "freeze": shown["freeze_at"][:16],
        "release": shown["release_at"][:16],
    }
    roles = {"roles": "tester=bob, writer=olga", "description": "gifts\r\nand cards"}
    assert ann.form(f"{PATH}/edit", **same, **roles).status_code == 303
    assert ann.form(f"{PATH}/phases/close/remove").status_code == 303
    edited = office.by("vic", "release", "show", "REL-1")["release"]
    assert (edited["title"], edited["freeze_at"]) == ("Christmas", shown["freeze_at"])
    assert (edited["description"], len(edited["roles"]), len(edited["phases"])) == ("gifts\nand cards", 2, 3)
    for fields, name in (
        ({"title": ""}, "title"), ({"roles": "bob"}, "roles"), ({"mode": "fast"}, "mode"), ({"freeze": "soon"}, "freeze"),
        (same | roles, "at least one field"),
    ):  # fmt: skip
        answer = ann.form(f"{PATH}/edit", **fields)
        assert (fields, answer.status_code, name in answer.text) == (fields, 422, True)
    late = ann.form(f"{PATH}/edit", freeze=minute(20))
    assert (late.status_code, "G206" in late.text) == (422, True)
    for fields, name in (
        ({"freeze": minute(9), "release": minute(5)}, "freeze"), ({"freeze": ""}, "freeze"), ({"title": "x" * 300}, "title"),
        ({"release": "9999-01-01T00:00"}, "release"), ({"mode": "x"}, "mode"), ({"environment": ""}, "environment"),
    ):  # fmt: skip
        given = {
            "title": "x",
            "environment": "production",
            "mode": "timeline",
            "freeze": minute(5),
            "release": minute(9),
        }
        answer = ann.form("/planned-releases", **{**given, **fields})
        assert (fields, answer.status_code, f"{name}:" in answer.text) == (fields, 422, True)
    assert "N110" in ann.form(f"{PATH}/add").text


def test_a_release_is_cancelled_after_a_page_of_confirmation(office: RequestProject, site: Site) -> None:
    """The page of the cancellation names what ends; without the right it has no form, and the server refuses it."""
    lay_release(office, "--mode", "completion")
    office.by("ann", "release", "confirm", "REL-1")
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    page = ann.get(f"{PATH}/cancel").text
    assert "The bookings B-1 end." in page
    assert "R-1 is accepted again" in page
    assert "<button" not in vic.get(f"{PATH}/cancel").text.split("<main")[1].split("</main")[0]
    assert "A101" in vic.form(f"{PATH}/cancel", reason="no").text
    assert "N110" in ann.form(f"{PATH}/cancel").text
    assert ann.form(f"{PATH}/cancel", reason="no money").status_code == 303
    page = ann.get(PATH).text
    assert "no money" in page
    assert f'action="{PATH}/' not in page
    assert "There are no such planned releases." in ann.get("/planned-releases").text
    assert "REL-1" in ann.get("/planned-releases?ended=true").text


def test_a_release_leads_to_its_plans_and_review(office: RequestProject, site: Site) -> None:
    """The page of a release has its run, its implementation plans, and the review that a worker opens."""
    for place in ("staging", "production"):
        office.go(place, "1.0.0")
    lay_release(office)
    lay_plan(office, "--release", "REL-1")
    office.by("ann", "release", "confirm", "REL-1")
    olga = site.signed_in("olga")
    page = olga.get(PATH).text
    assert 'href="/implementation-plans/IP-1"' in page
    assert "A worker opens the review" in page
    office.go("staging", "1.5.0")
    run = office.go("production", "1.5.0")
    office.by("ann", "release", "list", "--refresh")
    office.duties()
    page = olga.get(PATH).text
    assert f'href="/runs/{run.id}"' in page
    assert 'href="/reviews/REL-1"' in page
    review = olga.get("/reviews/REL-1").text
    assert "deploy" in review
    assert 'href="/planned-releases/REL-1"' in review


def test_the_notes_have_every_kind_of_change(office: RequestProject, site: Site) -> None:
    """The notes list requests, commits, infrastructure, tests and files as text, before and after a package is built."""
    for place in ("staging", "production"):
        office.go(place, "1.0.0")
    lay_release(office)
    assert DIFFERENCE.commits is not None
    found = replace(DIFFERENCE, commits=(DIFFERENCE.commits[0].model_copy(update={"subject": EVIL}),))
    office.patch.setattr(type(site.app.release_sources), "difference", lambda *_: found)
    page = site.signed_in("vic").get(f"{PATH}/notes").text
    for text in ("Sell gift cards", "before: shop 1.0.0", "Commits: 1", "Infrastructure: 1", "Tests: 2", "Files: 3",
                 "environments/production/__main__.py", "tests/test_shop.py::test_new", "&lt;img"):  # fmt: skip
        assert (text, text in page) == (text, True)
    assert "<img" not in page
    office.by("ann", "release", "remove", "REL-1", "--package", "shop", "--request", "R-1")
    empty = site.signed_in("vic").get(f"{PATH}/notes").text
    assert "No change request is in the scope." in empty
    assert "orchestrator release add REL-1" in empty


def test_text_with_markup_is_text_on_every_page_of_a_release(office: RequestProject, site: Site) -> None:
    """Titles, descriptions, reasons and names with markup are escaped on the list, the release, its notes and home."""
    lay_release(office)
    ann = site.signed_in("ann")
    fields = {"title": EVIL, "description": EVIL, "roles": "tester=bob"}
    assert ann.form(f"{PATH}/edit", **fields, reason=EVIL).status_code == 303
    ann.form(f"{PATH}/confirm")
    ann.form(f"{PATH}/phases/build/start")
    ann.form(f"{PATH}/hold", reason=EVIL)
    query = f"?name={EVIL}&start={EVIL}"
    places = ("/", "/planned-releases", PATH, f"{PATH}/notes", f"{PATH}/cancel", f"{PATH}/phase?name=test",
              f"{PATH}/phase{query}", "/search?q=advent", "/search?q=img")  # fmt: skip
    for place in places:
        page = ann.get(place).text
        assert (place, "<img" in page, "<script>alert" in page) == (place, False, False)
    for place in ("/", "/planned-releases", PATH, f"{PATH}/notes"):
        assert (place, "&lt;img" in ann.get(place).text) == (place, True)


def test_home_and_search_know_planned_releases(office: RequestProject, site: Site) -> None:
    """Home shows the owner the decision that is pending, and the user of a phase that it is due; the search finds both."""
    lay_release(office)
    ann, bob = site.signed_in("ann"), site.signed_in("bob")
    assert "a draft: confirm it" in ann.get("/").text
    assert "confirm it" not in bob.get("/").text
    office.by("ann", "release", "phase", "REL-1", "build", "--responsible", "bob")
    office.by("ann", "release", "confirm", "REL-1")
    assert "the phase build is due: start it" in bob.get("/").text
    hits = bob.get("/api/v1/search?q=advent").json()["hits"]
    assert [(hit["kind"], hit["path"]) for hit in hits] == [("planned release", PATH), ("booking", "/bookings/B-1")]
    assert {hit["kind"] for hit in bob.get("/api/v1/search?q=R-1").json()["hits"]} >= {"change request"}
    assert 'aria-current="page">Planned releases' in bob.get(PATH).text


def test_overdue_actions_are_shown_where_a_release_is_planned(office: RequestProject, site: Site) -> None:
    """A release manager sees the overdue actions of earlier reviews on the page where a release is planned."""
    lay_review(office)
    assert "Watch the disk" in site.signed_in("ann").get("/planned-releases").text
    assert "Watch the disk" not in site.signed_in("vic").get("/planned-releases").text
