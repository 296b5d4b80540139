def test_web(host, base):
    if host.ansible.get_variables()["inventory_hostname"] == "web2":
        assert host.file(f"{base}/web.conf").contains("12")


def test_db(host, base):
    if host.backend.get_hostname() == "db1":
        assert host.file(f"{base}/db.conf").contains("postgres")
