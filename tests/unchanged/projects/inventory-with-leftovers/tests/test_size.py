def test_size(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/size").content_string.strip() == str(host.ansible.get_variables()["size"])
