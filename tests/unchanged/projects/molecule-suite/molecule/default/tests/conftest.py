import pytest


@pytest.fixture
def conf(host):
    return host.file(host.ansible.get_variables()["host_root"] + "/app/app.conf")
