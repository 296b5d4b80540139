def test_suite_and_playbook_see_the_same(host):
    found = host.ansible.get_variables()
    if "web" in found["group_names"] if "group_names" in found else found["inventory_hostname"].startswith("web"):
        text = host.file(found["host_root"] + "/app/depth").content_string.split()
        assert text[0] == found["depth"] == "zone"
