def test_said(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/said").content_string == "ALPHA! BETA! Beta alpha\n"
