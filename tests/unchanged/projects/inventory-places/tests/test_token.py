def test_token(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/token").content_string == "beside-the-inventory hosts.yml\n"
