def test_page(host):
    found = host.ansible.get_variables()
    text = host.file(found["host_root"] + "/app/page").content_string
    assert text == ("headgrey first common\n" if found["inventory_hostname"] == "web1" else "headgold none special\n")
