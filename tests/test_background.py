"""What a thread repeats while a block of code runs."""

import threading

from orchestrator.background import repeated


def test_an_action_is_repeated_until_it_returns_false() -> None:
    """An action is called again and again while the block runs, and not again after it has returned False."""
    calls, third, fourth = [0], threading.Event(), threading.Event()

    def action() -> bool:
        calls[0] += 1
        if calls[0] >= 3:
            (third if calls[0] == 3 else fourth).set()
        return calls[0] < 3

    with repeated(action, 0.001):
        assert third.wait(30)
        assert not fourth.wait(0.05)
    assert calls == [3]


def test_an_action_ends_with_the_block() -> None:
    """After the block no action is called, and one that was in progress has ended."""
    began, calls = threading.Event(), [0]

    def action() -> bool:
        began.set()
        calls[0] += 1
        return True

    with repeated(action, 0.001):
        assert began.wait(30)
    ended = calls[0]
    assert not threading.Event().wait(0.05)
    assert calls[0] == ended
