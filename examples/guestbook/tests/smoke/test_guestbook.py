"""What must hold on every host of the guestbook."""

import json

import pytest

testinfra_hosts = ["ansible://web"]

FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"


@pytest.fixture
def page(host):
    about = host.ansible.get_variables()

    def fetch(path):
        address = f"http://{about['ansible_host']}:{about['app_port']}{path}"
        return host.check_output("%s -c %s %s", about["ansible_python_interpreter"], FETCH, address).strip()

    return fetch


def test_the_release_is_the_one_that_was_deployed(host, page):
    assert page("/version") == host.ansible.get_variables()["orchestrator_release"]["version"]


def test_guests_can_be_read(page):
    assert isinstance(json.loads(page("/guests")), list)
