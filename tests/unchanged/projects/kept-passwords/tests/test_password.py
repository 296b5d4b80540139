def test_password(host):
    root = host.ansible.get_variables()["host_root"]
    assert len(host.file(f"{root}/app/password").content_string) == 12
