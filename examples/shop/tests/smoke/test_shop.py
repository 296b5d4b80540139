"""What must hold on every web host of the shop."""

import json

import pytest

testinfra_hosts = ["ansible://web"]

FETCH = """
import sys, http.client
link = http.client.HTTPConnection(sys.argv[1], timeout=5)
link.request("GET", sys.argv[2])
answer = link.getresponse()
print(answer.status); print(answer.read().decode())
"""


@pytest.fixture
def variables(host):
    return host.ansible.get_variables()


@pytest.fixture
def page(host, variables):
    def fetch(path):
        address = f"{variables['ansible_host']}:{variables['app_port']}"
        done = host.run("%s -Sc %s %s %s", variables["ansible_python_interpreter"], FETCH, address, path)
        assert done.rc == 0, done.stderr
        status, _, text = done.stdout.partition("\n")
        assert status == "200", f"http://{address}{path} answers {status}: {text.strip()}"
        return text.strip()

    return fetch


def test_the_release_is_the_one_that_was_deployed(page, variables):
    assert page("/version") == variables["orchestrator_release"]["version"]


def test_it_is_healthy(page):
    assert page("/health").startswith("ok")


def test_it_tells_a_price(page):
    assert "tax" in page("/price")


def test_orders_can_be_read(page):
    assert isinstance(json.loads(page("/orders")), list)


def test_its_data_outlives_the_release(host, variables):
    data = host.file(f"{variables['host_root']}/current/data")
    assert data.is_symlink
    assert data.linked_to == f"{variables['host_root']}/shared/data"
