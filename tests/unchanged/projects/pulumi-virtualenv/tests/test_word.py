def test_word(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/word").content_string == "venv\n"
