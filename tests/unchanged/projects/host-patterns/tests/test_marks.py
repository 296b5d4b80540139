import pytest

MARKS = {
    "web1": ["expression", "both"],
    "web2": ["expression", "slice", "without", "limited"],
    "web3": ["expression", "slice", "last", "without", "limited"],
    "db1": ["both"],
}


def test_marks(host):
    found = host.ansible.get_variables()
    text = host.file(found["host_root"] + "/app/marks").content_string
    assert text.split() == MARKS[found["inventory_hostname"]]


@pytest.mark.parametrize("name", sorted(MARKS))
def test_names(name):
    assert MARKS[name]
