"""One trace from a request to a server through the worker to Pulumi, Ansible and pytest."""

import json
from datetime import timedelta

import pytest

from orchestrator.app import access, people, tokens
from orchestrator.domain.access.principals import Actor, Binding, Method, User
from tests.journeys.conftest import Project, lay_small_shop
from tests.otlp_receiver import receiving
from tests.server.pair import wait_for
from tests.server.test_process import answer, free_port, serving_in

TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PROGRAM = f"import os\nassert os.environ['TRACEPARENT'].split('-')[1] == '{TRACE}'\n"
"""What a program or test does that is part of the trace, and fails otherwise."""
PLAY = f"""
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.assert:
        that: lookup('ansible.builtin.env', 'TRACEPARENT').split('-')[1] == '{TRACE}'
"""


@pytest.mark.rare
def test_a_trace_goes_from_the_request_to_the_engines(project: Project) -> None:
    """The program of Pulumi, the play and the suite of a promotion have the trace of the client that requested it, and each job is a span below the request."""
    lay_small_shop(project)
    for path in ("environments/staging/__main__.py", "tests/smoke/test_shop.py"):
        project.write(path, (project.root / path).read_text() + PROGRAM)
    project.write("playbooks/deploy.yml", (project.root / "playbooks/deploy.yml").read_text() + PLAY)
    project.run("build", "releases/1.0.0")
    with project.opened() as app:
        people.add_user(app.acting, User(name="root"))
        token = tokens.create_token(app.acting, "root", lifetime=timedelta(hours=1)).text
        access.grant(app.acting, Binding(role="administrator", to="user:root"))
        acting = app.acting_as(Actor(name="root", method=Method.TOKEN))
        access.grant(acting, Binding(role="release-manager", to="user:root"))
    with receiving() as receiver:
        environ = {**project.environ(), **receiver.environ, "PYTHONUNBUFFERED": "1"}
        with serving_in(project.root, free_port(), environ, "--log-format", "json") as (port, _, log):
            headers = {"authorization": f"Bearer {token}", "traceparent": f"00-{TRACE}-{CLIENT}-01"}
            body = json.dumps({"release": "shop-1.0.0", "environment": "staging"})
            status, given, text = answer(
                port, "POST", "/api/v1/promotions", body, **headers, content_type="application/json"
            )
            assert status == 202, text
            run = json.loads(text)["run"]
            with project.opened() as app:
                wait_for(lambda: app.store.run(run).ended, "the run has not ended", 500)
                assert app.store.run(run).state.value == "succeeded"
            wait_for(lambda: receiver.named("promotion "), "the spans of the run have not come", 30)
        requested = next(each for each in receiver.named("POST ") if each.trace == TRACE)
        by_id = {each.id: each for each in receiver.spans if each.trace == TRACE}
    assert (requested.name, requested.parent, requested.service) == ("POST /api/v1/promotions", CLIENT, "orchestrator")
    assert requested.attributes["orchestrator.request"] == given["x-request-id"]
    jobs = [each for each in by_id.values() if each.name.startswith("job ")]
    for part in ("deploy", "verify", "provision"):
        assert any(part in each.name for each in jobs), [each.name for each in jobs]
    for job in jobs:
        above = [job]
        while above[-1].parent in by_id:
            above.append(by_id[above[-1].parent])
        assert above[-1] == requested, [each.name for each in above]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    [line] = [each for each in lines if each["message"] == "run requested"]
    assert (line["request"], line["trace"], run.startswith(line["run"])) == (given["x-request-id"], TRACE, True)
    assert {"took", "done"} <= {each["message"] for each in lines if each["logger"] == "orchestrator.worker"}
