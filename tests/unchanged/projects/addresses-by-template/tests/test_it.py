def test_here():
    assert True
