def test_crown(host):
    found = host.ansible.get_variables()
    assert host.file(found["host_root"] + "/app/crown").exists is (found["inventory_hostname"] == "web1")


def test_page(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/page").content_string == "built for web1\n"
