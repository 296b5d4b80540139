def test_colour(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/colour").content_string == "green\n"
