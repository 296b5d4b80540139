def test_size(host):
    found = host.ansible.get_variables()
    expected = "10" if found["inventory_hostname"] == "web1" else "1"
    assert host.file(found["host_root"] + "/app/size").content_string.strip() == expected
