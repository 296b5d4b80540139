import pytest


@pytest.mark.parametrize("name", ["stamp", "first", "second"])
def test_stamp(host, name):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/{name}").content_string.startswith("stamped ")
