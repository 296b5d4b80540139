def test_state(host):
    found = host.ansible.get_variables()
    text = host.file(found["host_root"] + "/app/state").content_string
    assert text == ("rescued from Break\n" if found["inventory_hostname"] == "web2" else "fine\n")
