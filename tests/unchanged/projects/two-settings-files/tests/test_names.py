import pytest


@pytest.mark.parametrize("name", ["a", "b"])
def test_name(host, name):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/{name}").contains(name)
