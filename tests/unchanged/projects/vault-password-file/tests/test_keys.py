import pytest


@pytest.mark.parametrize("name", ["key"])
def test_key(host, base, name):
    assert host.file(f"{base}/{name}").mode == 0o600


def test_words(host, base):
    assert host.file(f"{base}/key").content_string.strip() in {"s3cret\\ word", "tok-123"}
