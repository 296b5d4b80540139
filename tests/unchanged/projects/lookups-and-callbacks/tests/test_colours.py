def test_colours(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/colours").contains("blue")
