def test_colours(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/colours").contains("blue")


def test_the_callback_was_called(host):
    found = host.ansible.get_variables()
    assert host.file(found["host_root"] + "/app/callback/counted").exists is (found["inventory_hostname"] == "web1")
