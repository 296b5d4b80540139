LIMITS = {"web1": "100", "web2": "7", "db1": "0"}


def test_limit(host):
    found = host.ansible.get_variables()
    assert host.file(found["host_root"] + "/app/limit").content_string.split()[0] == LIMITS[found["inventory_hostname"]]
