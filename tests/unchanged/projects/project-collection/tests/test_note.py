def test_note(host):
    found = host.ansible.get_variables()
    assert host.file(found["host_root"] + "/app/note").content_string == f"[{found['inventory_hostname']}]\n"
