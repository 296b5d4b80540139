LOGS = {
    "web1": "restart reload afterwards restart afterwards",
    "web2": "restart reload afterwards",
}


def test_log(host):
    found = host.ansible.get_variables()
    assert host.file(found["host_root"] + "/app/log").content_string.split() == LOGS[found["inventory_hostname"]].split()
