def test_tier(host):
    found = host.ansible.get_variables()
    assert host.file(found["host_root"] + "/app/tier").contains("tier-front" if found["tier"] == "front" else "tier-back")
