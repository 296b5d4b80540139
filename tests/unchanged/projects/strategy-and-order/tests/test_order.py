def test_order(host):
    found = host.ansible.get_variables()
    if found["inventory_hostname"] == "web1":
        assert host.file(found["host_root"] + "/order").content_string.split() == ["web3", "web2", "web1"]
    assert host.file(found["host_root"] + "/app/free").content_string == "web1 web2 web3\n"
