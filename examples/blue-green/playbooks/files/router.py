"""A router: each connection is passed on to one of the hosts that a file names at that moment.

router.py ADDRESS PORT FILE, whose lines are `address port`. It goes on in the background; a second one leaves at once.
"""

import itertools
import os
import pathlib
import shutil
import socket
import socketserver
import sys
import threading

FILE = pathlib.Path(sys.argv[3])
TURN = itertools.count()


def upstreams():
    try:
        found = [line.split() for line in FILE.read_text().splitlines() if line.strip()]
    except OSError:
        return []
    first = next(TURN) % max(1, len(found))
    return [(address, int(port)) for address, port in found[first:] + found[:first]]


def passed(source, target):
    try:
        shutil.copyfileobj(source.makefile("rb", 0), target.makefile("wb", 0))
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Pass(socketserver.BaseRequestHandler):
    def handle(self):
        for place in upstreams():
            try:
                link = socket.create_connection(place, timeout=2)
            except OSError:
                continue
            with link:
                link.settimeout(None)
                back = threading.Thread(target=passed, args=(link, self.request), daemon=True)
                back.start()
                passed(self.request, link)
                back.join()
            return


class Router(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    try:
        router = Router((sys.argv[1], int(sys.argv[2])), Pass)
    except OSError:
        sys.exit(0)  # it runs already
    print("started", flush=True)
    if os.fork():
        os._exit(0)
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    router.serve_forever()
