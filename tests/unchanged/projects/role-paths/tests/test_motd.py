def test_motd(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/motd").content_string == "good day\n"
