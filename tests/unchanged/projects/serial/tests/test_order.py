def test_order(host):
    found = host.ansible.get_variables()
    once = host.file(found["host_root"] + "/app/once").exists
    assert once is (found["inventory_hostname"] in {"web1", "web2"})
