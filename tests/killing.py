"""Processes that are killed as soon as they are there."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.processes import command_line, family


@contextmanager
def killing(words: str, times: int) -> Iterator[list[int]]:
    """`kill -9` of what this process starts with *words* in its command line, so many *times*; those that were killed."""
    killed, over = list[int](), threading.Event()

    def work() -> None:
        while not over.is_set() and len(killed) < times:
            for process in family([os.getpid()])[1:]:
                if words in command_line(process) and process not in killed:
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)
            time.sleep(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()
