import pytest


@pytest.mark.parametrize("name, mode", [("tree/run.sh", 0o755), ("tree/sub/plain", 0o644), ("app.pyz", 0o755)])
def test_mode(host, name, mode):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/{name}").mode == mode


def test_ran(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/ran").content_string == "ran\n"
