def test_greeting(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/greeting").content_string == "hello\n"
