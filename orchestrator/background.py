"""What a thread repeats while a block of code runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(action: Callable[[], bool], every_s: float) -> Iterator[None]:
    """Call *action* every *every_s* seconds while the block runs, for as long as it returns True.

    The first call is after the first *every_s* seconds. The end of the block waits for a call in progress.
    """
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(every_s) and action():
            pass

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
