def test_remembered(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/remembered").contains("web1-3 Linux")
