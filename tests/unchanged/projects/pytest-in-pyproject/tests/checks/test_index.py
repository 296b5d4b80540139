import pytest

testinfra_hosts = ["ansible://web"]


class TestIndex:
    def test_words(self, host, base, expected):
        assert expected in host.file(f"{base}/index.html").content_string

    @pytest.mark.slow
    def test_owner(self, host, base):
        assert host.file(f"{base}/index.html").exists

    @pytest.mark.xfail(reason="not written yet")
    def test_style(self, host, base):
        assert host.file(f"{base}/style.css").exists

    @pytest.mark.skip(reason="needs a browser")
    def test_browser(self, host):
        raise AssertionError


@pytest.fixture(params=["a", "b"])
def letter(request):
    return request.param


def test_letters(host, letter):
    assert host.check_output(f"echo {letter}") == letter
