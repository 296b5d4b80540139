def test_link(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/links/link").is_symlink


def test_licence(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/licence.txt").content_string == "Free to use.\n"
