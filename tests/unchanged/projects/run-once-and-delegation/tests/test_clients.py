testinfra_hosts = ["ansible://db"]


def test_clients(host):
    root = host.ansible.get_variables()["host_root"]
    assert sorted(host.file(f"{root}/app/clients").content_string.split()) == ["web1", "web2"]
    assert host.file(f"{root}/app/migrations").content_string.count("\n") == 1
