def test_never(host):
    root = host.ansible.get_variables()["host_root"]
    assert not host.file(f"{root}/app/never").exists


def test_ready(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/ready").exists is (host.backend.get_hostname() == "web1")
