def test_page(host):
    root = host.ansible.get_variables()["host_root"]
    assert host.file(f"{root}/app/site.html").contains("site")
