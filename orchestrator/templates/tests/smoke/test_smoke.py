"""What must hold on every host after a release: an ordinary testinfra suite."""

FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"


def test_the_page_is_served(host):
    variables = host.ansible.get_variables()
    url = f"http://{variables['ansible_host']}:{variables['app_port']}/"
    page = host.run("%s -c %s %s", variables.get("ansible_python_interpreter", "python3"), FETCH, url)
    assert page.rc == 0, page.stderr
    assert "It works" in page.stdout


def test_the_release_is_the_current_one(host):
    variables = host.ansible.get_variables()
    current = host.file(f"{variables['host_root']}/current")
    assert current.is_symlink
    assert variables["orchestrator_release"]["version"] in current.linked_to
