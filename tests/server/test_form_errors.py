"""A form with an error: its page again, with what was entered and the error at the field, without JavaScript."""

import pytest

from orchestrator.web.pages.filled_form import SentForm, filled_page
from tests.cli.request_project import RequestProject, office
from tests.server.hostile_text import read_page
from tests.server.release_scene import EVIL, lay_line
from tests.server.site import HTML, ORIGIN, Browser, Site

__all__ = ["office"]  # the fixture

LINE = {"name": "weekly", "stops": "staging\r\nproduction+soon", "start": "2031-01-07T08:00", "rule": "FREQ=WEEKLY"}


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def sent(browser: Browser, page: str, path: str, **fields: str) -> tuple[int, str]:
    """The status and the page after a form of *page*, which a browser names."""
    headers = {"origin": ORIGIN, "referer": f"{ORIGIN}{page}", **HTML}
    answer = browser.request("POST", path, data={"form_token": browser.form_token, **fields}, headers=headers)
    return answer.status_code, answer.text


def test_an_error_is_shown_at_its_field(site: Site) -> None:
    """The page of the form comes again with the status of the error, what was entered, and the error behind its field."""
    status, page = sent(site.signed_in("ann"), "/trains", "/train-lines", **LINE, zone="UTC", rehearse="yes")
    assert status == 422
    assert "<h1>Trains</h1>" in page
    after = page.split('name="stops"')[1]
    assert 'aria-invalid="true"' in after.split(">")[0]
    assert after.split(">", 1)[1].lstrip().startswith("staging")
    assert after.split("</textarea>")[1].startswith('<p class="bad small" role="alert" id="form-error">')
    assert 'is not a duration such as 2h (<a class="link" href="/errors/N110">N110</a>)' in after.split("</p>")[0]
    assert page.count('role="alert"') == 1
    assert 'value="FREQ=WEEKLY"' in page
    assert 'name="rehearse" value="yes" checked=""' in page
    assert '<details class="card gap" open' in page


def test_a_corrected_form_is_sent_again(office: RequestProject, site: Site) -> None:
    """A second error leads to the page of the form again, although the document has the address of the form's action."""
    ann = site.signed_in("ann")
    _, page = sent(ann, "/trains", "/train-lines", **LINE, zone="UTC")
    [form] = [form for form in read_page(page).forms if form.action == "/train-lines"]
    assert form.values["form_page"] == "/trains"
    again = {**LINE, "stops": "staging", "zone": "Nowhere", "form_page": "/trains"}
    status, page = sent(ann, "/train-lines", "/train-lines", **again)
    assert (status, "<h1>Trains</h1>" in page, 'value="Nowhere"' in page) == (422, True, True)
    assert sent(ann, "/train-lines", "/train-lines", **{**again, "zone": "UTC"})[0] == 303


def test_an_error_without_a_field_is_at_the_start_of_its_form(office: RequestProject, site: Site) -> None:
    """A refusal that is about no field is shown in the form that was sent, and not in another of the page."""
    lay_line(office)
    ann = site.signed_in("ann")
    status, page = sent(ann, "/trains/T-1", "/trains/T-1/hold", reason="")
    assert status in {409, 422}
    before, _, after = page.partition('id="form-error">')
    assert "G605" in after.split("</p>")[0]
    assert before.rpartition('action="')[2].startswith("/trains/T-1/hold")


def test_what_was_entered_is_text(site: Site) -> None:
    """Markup in a field comes back as text: in a value, in an area of text, and in the error."""
    fields = {"name": EVIL, "stops": EVIL, "start": EVIL, "rule": EVIL, "zone": EVIL, "boarding": EVIL}
    for name, text in fields.items():
        _, page = sent(site.signed_in("ann"), "/trains", "/train-lines", **{**LINE, "zone": "UTC", name: text})
        assert (name, "<img" in page, "<script>alert" in page) == (name, False, False)
        assert "&lt;img src=x" in page


@pytest.mark.parametrize(
    "page", ["https://evil.example/trains", "/api/v1/events", "/moon", "/trains/T-99", "//evil.example", "/me"]
)
def test_without_the_page_of_the_form_the_error_has_its_own(site: Site, page: str) -> None:
    """An address of another site, of the API, of no page or of a page without the form leads to the page of the error."""
    _, shown = sent(site.signed_in("ann"), "/x", "/train-lines", **LINE, form_page=page)
    assert "What to do" in shown


def test_secrets_and_files_are_not_filled_in() -> None:
    """A password, a hidden field and a file stay as the page has them."""
    page = (
        '<form method="post" action="/a"><input type="password" name="p"><input type="hidden" name="h" value="1">'
        '<input type="file" name="f"><input name="t"><select name="s"><option>a</option><option>b</option></select></form>'
    )
    fields = {"p": "secret", "h": "1", "f": "x", "t": 'a"<b>', "s": "b"}
    filled = filled_page(page, SentForm("/a", "/page", fields, "wrong", "t"))
    assert filled is not None
    assert "secret" not in filled
    assert 'type="hidden" name="h" value="1"' in filled
    assert 'value="a&quot;&lt;b&gt;" aria-invalid' in filled or 'value="a&quot;&lt;b&gt;"' in filled
    assert '<option selected="">b</option>' in filled


def test_the_form_is_found_by_its_hidden_fields() -> None:
    """Of two forms with one action, that is filled whose hidden fields were sent."""
    form = '<form method="post" action="/a"><input type="hidden" name="h" value="{0}"><input name="t" id="t{0}"></form>'
    page = form.format("1") + form.format("2")
    filled = filled_page(page, SentForm("/a", "/page", {"h": "2", "t": "x"}, "wrong"))
    assert filled is not None
    first, second = filled.split("</form>")[:2]
    assert ('value="x"' in first, 'value="x"' in second, "form-error" in second) == (False, True, True)
    assert filled_page(page, SentForm("/b", "/page", {}, "wrong")) is None


def test_a_release_that_has_changed_is_shown_with_what_was_entered(office: RequestProject, site: Site) -> None:
    """An edit of an earlier version is refused (N145) at its form, which keeps the text, and has the new version."""
    office.by("ann", "release", "plan", "Advent", "--to", "production", "--freeze", "2031-01-01T00:00:00Z", "--release-at", "2031-01-02T00:00:00Z")  # fmt: skip
    ann, path = site.signed_in("ann"), "/planned-releases/REL-1"
    [form] = [form for form in read_page(ann.get(path).text).forms if form.action == f"{path}/edit"]
    fields = {name: value for name, value in form.values.items() if name != "form_token"}
    office.by("ann", "release", "edit", "REL-1", "--title", "Christmas")
    status, page = sent(ann, path, f"{path}/edit", **{**fields, "title": "New year"})
    assert (status, "N145" in page, 'value="New year"' in page, "<h1>Christmas" in page) == (412, True, True, True)
    [form] = [form for form in read_page(page).forms if form.action == f"{path}/edit"]
    again = {**fields, "title": "New year", "shown": form.values["shown"], "form_page": path}
    assert sent(ann, f"{path}/edit", f"{path}/edit", **again)[0] == 303
