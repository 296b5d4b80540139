"""Pages of implementation plans: live tasks, evidence and decisions, without JavaScript and by right."""

import pytest

from tests.cli.request_project import RequestProject, office
from tests.server.release_scene import EVIL, at, lay_plan, lay_template
from tests.server.site import ORIGIN, Browser, Site

__all__ = ["office"]  # the fixture
PATH = "/implementation-plans/IP-1"
EVENTS = ("begin", "done", "decide", "fail", "help-needed", "retry", "skip", "evidence", "replan")


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project with users."""
    return Site(office, office.app())


def offered(browser: Browser, task: str) -> set[str]:
    """The events for which the page of *task* has a form."""
    page = browser.get(f"{PATH}/tasks/{task}").text
    return {event for event in EVENTS if f'action="{PATH}/tasks/{task}/{event}"' in page}


def test_a_plan_is_started_and_carried_out_by_forms(office: RequestProject, site: Site) -> None:
    """A plan starts from its template; tasks are begun, helped, failed, retried and done with evidence; a decision ends it."""
    ann, olga = site.signed_in("ann"), site.signed_in("olga")
    assert "There are no such implementation plans." in olga.get("/implementation-plans").text
    assert "There is no template." in ann.get("/implementation-plans").text
    lay_template(office)
    made = ann.form("/implementation-plans", template="launch", parameters="version=1.5.0\r\n")
    assert (made.status_code, made.headers.get("location")) == (303, PATH), made.text
    assert "Announce 1.5.0" in olga.get("/implementation-plans").text
    task = f"{PATH}/tasks/announce"
    assert "Mail the shops." in olga.get(task).text
    assert olga.form(f"{task}/begin").status_code == 303
    assert olga.form(f"{task}/help-needed", reason="no list of shops").status_code == 303
    assert "needs help</strong>: no list of shops" in ann.get(PATH).text
    assert olga.form(f"{task}/begin").status_code == 303
    assert "N110" not in olga.form(f"{task}/fail", reason="").text
    assert olga.form(f"{task}/fail", reason="the list is old").status_code == 303
    assert "Nothing that comes after it starts" in ann.get(PATH).text
    assert olga.form(f"{task}/retry").status_code == 303
    given = {"evidence": "mailed\r\nto all", "links": "https://example.org/1"}
    assert olga.form(f"{task}/done", **given).status_code == 303
    page = olga.get(task).text
    assert 'href="https://example.org/1"' in page
    assert "G406" in olga.form(f"{task}/evidence", links="javascript:alert(1)").text
    assert ann.form(f"{PATH}/tasks/check/done").status_code == 303
    assert "N110" in ann.form(f"{PATH}/tasks/decide/decide", decision="maybe").text
    assert ann.form(f"{PATH}/tasks/decide/decide", decision="go").status_code == 303
    plan = office.by("vic", "implementation", "status", "IP-1")["plan"]
    assert plan["state"] == "completed"
    assert plan["tasks"][0]["evidence"][0]["text"] == "mailed\nto all"


def test_the_buttons_of_a_task_are_those_of_its_state_and_its_reader(office: RequestProject, site: Site) -> None:
    """Its owner has the events of the state, a release manager those with a reason, others only the call for help."""
    lay_plan(office)
    ann, olga, bob = site.signed_in("ann"), site.signed_in("olga"), site.signed_in("bob")
    mine = {"begin", "done", "fail", "help-needed", "skip", "evidence"}
    assert offered(olga, "announce") == mine
    assert offered(ann, "announce") == mine | {"replan"}
    assert offered(bob, "announce") == {"help-needed"}
    assert offered(ann, "check") == {"skip", "evidence", "replan"}
    assert offered(bob, "check") == set()
    assert "G403" in ann.form(f"{PATH}/tasks/announce/done").text
    assert 'name="reason" maxlength="1900" required' in ann.get(f"{PATH}/tasks/announce").text
    assert "A101" in bob.form(f"{PATH}/tasks/announce/done", reason="x").text
    assert bob.form(f"{PATH}/tasks/announce/help-needed").status_code == 303
    assert offered(olga, "announce") == {"begin", "done", "fail", "skip", "evidence"}
    olga.form(f"{PATH}/tasks/announce/done")
    assert offered(olga, "announce") == {"evidence"}
    ann.form(f"{PATH}/tasks/check/done")
    assert offered(ann, "decide") == {"begin", "decide", "help-needed", "skip", "evidence", "replan"}


def test_a_plan_shows_its_critical_path_and_what_waits(office: RequestProject, site: Site) -> None:
    """The page has each task with its expected time, what it waits for, a timeline and the critical path; a part is live."""
    lay_plan(office)
    vic = site.signed_in("vic")
    page = vic.get(PATH).text
    assert "waits for announce" in page
    assert page.count("on the critical path</small>") == 3
    assert '<svg class="tl"' in page
    part = vic.get(f"{PATH}?part=all").text
    assert ("<html" in part, 'id="part"' in part, "hx-get" in part) == (False, True, True)
    office.by("ann", "implementation", "abort", "IP-1", "-m", "stop", "--yes")
    assert "hx-get" not in vic.get(f"{PATH}?part=all").text


def test_tasks_are_added_changed_and_a_plan_is_aborted(office: RequestProject, site: Site) -> None:
    """A release manager adds a task, changes only edited fields of another one, and aborts after a page that names what ends."""
    lay_plan(office)
    ann, olga = site.signed_in("ann"), site.signed_in("olga")
    fields = {
        "name": "page",
        "kind": "manual",
        "title": "Change the page",
        "after": "announce, check",
        "duration": "30",
    }
    assert ann.form(f"{PATH}/tasks", **fields, timeout="60", on_timeout="skip").status_code == 303
    task = office.by("vic", "implementation", "status", "IP-1")["plan"]["tasks"][3]
    assert (task["after"], task["duration_s"], task["timeout_s"]) == (["announce", "check"], 1800, 3600)
    same = {"title": "Change the page", "owner": "bob", "group": "", "after": "announce, check", "duration": "30"}
    changed = ann.form(f"{PATH}/tasks/page/replan", **same, timeout="60", on_timeout="skip", instructions="")
    assert changed.status_code == 303, changed.text
    assert "N110" in ann.form(f"{PATH}/tasks/page/replan", **same).text
    for path, given, word in (
        ("tasks", {"name": ""}, "name:"), ("tasks", {"name": "x", "kind": "automated"}, "kind:"),
        ("tasks", {"name": "x", "duration": "-5"}, "duration:"), ("tasks", {"name": "x", "duration": "1e30"}, "duration:"),
        ("tasks", {"name": "x", "start": "soon"}, "start:"), ("tasks", {"name": "NO NAME"}, "G407"),
        ("tasks", {"name": "x", "on_timeout": "explode"}, "on_timeout:"), ("tasks", {"name": "x", "after": "moon"}, "G402"),
        ("tasks/page/replan", {"title": "x" * 300}, "G407"), ("tasks/page/evidence", {"evidence": " "}, "evidence:"),
    ):  # fmt: skip
        answer = ann.form(f"{PATH}/{path}", **given)
        assert (path, given, answer.status_code < 500, word in answer.text) == (path, given, True, True)
    assert "4 tasks end as aborted" in ann.get(f"{PATH}/abort").text
    assert "do not have the right" in olga.get(f"{PATH}/abort").text
    assert "A101" in olga.form(f"{PATH}/abort", reason="x").text
    assert "N110" in ann.form(f"{PATH}/abort").text
    assert ann.form(f"{PATH}/abort", reason="no launch").status_code == 303
    assert "no launch" in olga.get(PATH).text
    assert "IP-1" in olga.get("/implementation-plans?ended=true").text


def test_automated_tasks_are_added_by_a_form(office: RequestProject, site: Site) -> None:
    """A release manager adds a promotion, a rollback and a task of a template with a reason; what is missing or not allowed is named."""
    lay_plan(office)
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    assert "Add a task" not in vic.get(PATH).text
    tasks = f"{PATH}/tasks"
    common = {"reason": "as agreed", "duration": "15", "timeout": "0", "on_timeout": "needs-help"}
    promote = {"name": "promote", "kind": "promotion", "package": "shop-1.5.0", "to": "production", "before": "check"}
    assert ann.form(tasks, **promote, **common).status_code == 303
    back = {"name": "back", "kind": "rollback", "environment": "staging", "after": "decide"}
    assert ann.form(tasks, **back, **common).status_code == 303
    page = {"name": "tell", "kind": "template", "source": "launch:announce", "parameters": "version=1.6.0"}
    assert ann.form(tasks, **page, **common).status_code == 303
    found = {each["name"]: each for each in office.by("vic", "implementation", "status", "IP-1")["plan"]["tasks"]}
    assert (found["promote"]["promotion"]["package"], found["check"]["after"]) == (
        "shop-1.5.0",
        ["announce", "promote"],
    )
    assert (found["back"]["rollback"]["environment"], found["back"]["after"]) == ("staging", ["decide"])
    assert found["tell"]["title"] == "Announce 1.6.0"
    assert found["tell"]["timeout_s"] == found["announce"]["timeout_s"]
    assert "ann, from launch:announce" in vic.get(f"{tasks}/tell").text
    for given, word in (
        ({**promote, "name": "a", "to": ""}, "to:"), ({**promote, "name": "a", "reason": ""}, "G403"),
        ({**back, "name": "a", "environment": ""}, "environment:"), ({**back, "name": "a", "environment": "moon"}, "A110"),
        ({**page, "name": "a", "source": ""}, "source:"), ({**page, "name": "a", "parameters": "version"}, "parameters:"),
        ({**page, "name": "a", "source": "launch:none"}, "A110"), ({"name": "a", "kind": "command"}, "kind:"),
    ):  # fmt: skip
        answer = ann.form(tasks, **{**common, **given})
        assert (given, answer.status_code < 500, word in answer.text) == (given, True, True)
    assert "A101" in vic.form(tasks, **{**promote, "name": "a"}, **common).text


def test_a_plan_is_changed_by_a_form(office: RequestProject, site: Site) -> None:
    """The title, owner and start of a scheduled plan are changed, once it has started all but its start; nothing changed is refused."""
    lay_plan(office, "--at", at(2))
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    assert "Change the plan" not in vic.get(PATH).text
    page = ann.get(PATH).text
    assert ('name="start" type="datetime-local" value="20' in page, "Change the plan" in page) == (True, True)
    assert "N110" in ann.form(f"{PATH}/replan", title="Launch 1.5.0", owner="ann", release="").text
    changed = ann.form(f"{PATH}/replan", title="The launch", owner="bob", release="", start=at(3)[:16])
    assert (changed.status_code, changed.headers.get("location")) == (303, PATH), changed.text
    plan = office.by("vic", "implementation", "status", "IP-1")["plan"]
    assert (plan["title"], plan["owner"], plan["start_at"][:10]) == ("The launch", "bob", at(3)[:10])
    for given, word in (({"owner": "nobody"}, "A110"), ({"release": "REL-9"}, "A110"), ({"title": "x" * 300}, "G407")):
        assert word in ann.form(f"{PATH}/replan", **given).text
    ann.form(f"{PATH}/replan", start=at(-1)[:16])
    assert 'id="plan-start"' not in ann.get(PATH).text
    assert "G407" in ann.form(f"{PATH}/replan", start=at(3)[:16]).text
    assert "A101" in vic.form(f"{PATH}/replan", title="x").text


def test_a_start_with_wrong_fields_names_them(office: RequestProject, site: Site) -> None:
    """Parameters that are not NAME=VALUE, missing ones and unknown names are refused, and never as an internal error."""
    lay_template(office)
    ann = site.signed_in("ann")
    for fields, word in (
        ({"template": ""}, "template:"), ({"template": "moon"}, "A110"), ({"parameters": "version"}, "parameters:"),
        ({"parameters": ""}, "G401"), ({"parameters": f"version={'x' * 400}"}, "G401"), ({"owner": "moon"}, "A110"),
        ({"release": "REL-9"}, "A110"), ({"start": "soon"}, "start:"), ({"owner": "x" * 500}, "N110"),
    ):  # fmt: skip
        answer = ann.form("/implementation-plans", **{"template": "launch", "parameters": "version=1.5.0", **fields})
        assert (fields, answer.status_code < 500, word in answer.text) == (fields, True, True), answer.text[-900:]
    later = ann.form(
        "/implementation-plans", template="launch", parameters="version=2", start=at(2)[:16], rehearsal="yes"
    )
    assert later.status_code == 303
    page = ann.get(later.headers["location"]).text
    assert "This is a rehearsal" in page
    assert "scheduled" in page
    assert "has not started" in ann.form(f"{later.headers['location']}/tasks/announce/begin", reason="x").text


def test_text_with_markup_is_text_on_every_page_of_a_plan(office: RequestProject, site: Site) -> None:
    """Titles, instructions, reasons, evidence and parameters with markup are escaped, and only web links are links."""
    lay_template(office)
    ann, olga = site.signed_in("ann"), site.signed_in("olga")
    ann.form("/implementation-plans", template="launch", parameters=f"version={EVIL}")
    ann.form(f"{PATH}/tasks", name="page", title=EVIL, instructions=EVIL, owner="olga")
    olga.form(f"{PATH}/tasks/page/done", evidence=EVIL, links="https://x/?q=<img>", reason=EVIL)
    olga.form(f"{PATH}/tasks/announce/help-needed", reason=EVIL)
    places = ("/", "/implementation-plans", PATH, f"{PATH}?part=all", f"{PATH}/abort", f"{PATH}/tasks/page",
              f"{PATH}/tasks/announce", "/search?q=launch")  # fmt: skip
    for place in places:
        page = olga.get(place).text
        assert (place, "<img" in page, "<script>alert" in page) == (place, False, False)
    for place in ("/", PATH, f"{PATH}/tasks/page"):
        assert (place, "&lt;img" in olga.get(place).text) == (place, True)


def test_home_and_search_know_tasks(office: RequestProject, site: Site) -> None:
    """Home shows the tasks that wait for the reader and no others; the search finds plans and tasks by title."""
    lay_plan(office)
    ann, olga = site.signed_in("ann"), site.signed_in("olga")
    assert f'href="{PATH}/tasks/announce"' in olga.get("/").text
    assert f'href="{PATH}/tasks/announce"' not in ann.get("/").text
    hits = olga.get("/api/v1/search?q=announce").json()["hits"]
    assert [(hit["kind"], hit["path"]) for hit in hits] == [("task", f"{PATH}/tasks/announce")]
    assert "implementation plan" in {hit["kind"] for hit in olga.get("/api/v1/search?q=launch").json()["hits"]}


MEASURED = """apiVersion: orchestrator/v1
kind: ImplementationTemplate
title: Move the orders
tasks:
  - name: measure
    owner: olga
    inputs:
      type: object
      properties:
        rows: {type: integer, minimum: 1, title: Rows of the table}
        kind: {enum: [full, partial], default: partial}
        clean: {type: boolean}
        comment: {type: string, maxLength: 2000, description: "<b>What</b> was seen"}
        hosts: {type: array, items: {type: string}}
      required: [rows]
  - name: move
    owner: olga
    after: [measure]
    title: Move ${{ tasks.measure.rows }} rows
"""


def test_inputs_are_fields_of_their_types(office: RequestProject, site: Site) -> None:
    """A task has a field for each input by its type, a wrong value is named, and the values are shown and used."""
    (office.folder / "implementation").mkdir(exist_ok=True)
    (office.folder / "implementation" / "move.yaml").write_text(MEASURED)
    office.by("ann", "implementation", "start", "move")
    olga, task = site.signed_in("olga"), f"{PATH}/tasks/measure"
    page = olga.get(task).text
    for text in (
        '<input id="done-rows" name="input.rows" type="number" value="" required step="1" min="1">',
        "<option selected>partial</option>", '<textarea id="done-comment" name="input.comment" rows="3"',
        'maxlength="2000"', "&lt;b&gt;What&lt;/b&gt; was seen", " As JSON.",
    ):  # fmt: skip
        assert text in page, text
    given = {"input.rows": "7", "input.clean": "true", "input.comment": "a\r\nb", "input.hosts": '["web1"]'}
    for wrong in ({"input.rows": ""}, {"input.rows": "x"}, {"input.hosts": "web1"}, {"input.lines": "1"}):
        assert "G408" in olga.form(f"{task}/done", **{**given, **wrong}).text, wrong
    assert olga.form(f"{task}/done", **given).status_code == 303
    values = office.by("vic", "implementation", "status", "IP-1")["plan"]["tasks"][0]["values"]
    assert values == {"rows": 7, "kind": "partial", "clean": True, "comment": "a\nb", "hosts": ["web1"]}
    assert "[&#34;web1&#34;]" in olga.get(task).text
    assert "Move 7 rows" in olga.get(PATH).text
    ann = site.signed_in("ann")
    assert "inputs: not JSON" in ann.form(f"{PATH}/tasks/move/replan", inputs="{").text
    assert (
        ann.form(f"{PATH}/tasks/move/replan", inputs='{"type": "object", "properties": {"n": {}}}').status_code == 303
    )
    assert 'name="input.n"' in olga.get(f"{PATH}/tasks/move").text


def test_a_file_is_uploaded_by_a_form_and_downloaded_safely(office: RequestProject, site: Site) -> None:
    """A form takes files of any bytes; a download is never shown by a browser, and needs the right to see the plan."""
    lay_plan(office)
    olga, task = site.signed_in("olga"), f"{PATH}/tasks/announce"
    page = olga.get(task).text
    assert f'action="{task}/done" enctype="multipart/form-data"' in page
    data = b"<script>alert(1)</script>\r\n--x\x00\xff"
    files = [("files", ('../k"ä.html', data, "text/html")), ("files", ("b.txt", b"two", "text/plain"))]
    sent = {"origin": ORIGIN, "accept": "text/html"}
    fields = {"form_token": olga.form_token, "evidence": "seen"}
    done = olga.request("POST", f"{task}/done", data=fields, files=files, headers=sent)
    assert done.status_code == 303, done.text
    evidence = office.by("vic", "implementation", "status", "IP-1")["plan"]["tasks"][0]["evidence"]
    assert [(each["kind"], each["text"]) for each in evidence] == [
        ("text", "seen"), ("file", 'k"ä.html'), ("file", "b.txt")
    ]  # fmt: skip
    path = f"{task}/files/{evidence[1]['digest']}"
    assert f'href="{path}" download' in olga.get(task).text
    found = olga.get(path)
    assert (found.status_code, found.content, found.headers["content-type"]) == (200, data, "application/octet-stream")
    assert found.headers["content-disposition"] == "attachment; filename*=UTF-8''k%22%C3%A4.html"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in found.headers["content-security-policy"]
    assert olga.get(f"{task}/files/sha256:{'0' * 64}").status_code == 404
    assert office.by("olga", "implementation", "file", "IP-1", "announce", "b.txt", "-o", "b.out")["path"] == "b.out"
    assert (office.folder / "b.out").read_bytes() == b"two"
    large = [("files", ("a", b"x" * (640 * 1024 + 1), "text/plain"))]
    refused = olga.request("POST", f"{task}/evidence", data=fields, files=large, headers=sent)
    assert (refused.status_code < 500, "G406" in refused.text) == (True, True)
    broken = {"content": b"--x\r\n\r\n", "headers": {**sent, "content-type": "multipart/form-data; boundary=x"}}
    assert "N110" in olga.request("POST", f"{task}/evidence", **broken).text
    assert (
        olga.request("POST", f"{task}/evidence", data={"evidence": "x"}, files=large[:0], headers=sent).status_code
        == 403
    )
