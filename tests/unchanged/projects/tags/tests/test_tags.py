testinfra_hosts = ["ansible://web1"]

import pytest

EXPECTED = {"deployed": True, "slow": False, "never": False, "told": True}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_file(host, name):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/{name}").exists is EXPECTED[name]
