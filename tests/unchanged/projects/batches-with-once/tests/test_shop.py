testinfra_hosts = ["ansible://web"]


def test_configured(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/shop.conf").content_string == "schema 7\n"
