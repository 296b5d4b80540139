import pytest


@pytest.fixture
def base(host):
    return host.ansible.get_variables()["host_root"] + "/app"
