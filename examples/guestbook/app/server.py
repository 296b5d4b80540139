"""A guestbook: names in, names out."""

import json
import pathlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import book

VERSION = (pathlib.Path(__file__).parent / "VERSION").read_text()


class Guestbook(BaseHTTPRequestHandler):
    def do_GET(self):
        pages = {"/version": lambda: VERSION, "/health": lambda: f"ok {VERSION}", "/guests": book.guests}
        try:
            status, page = (200, pages[self.path]()) if self.path in pages else (404, "no such page")
        except Exception as error:
            status, page = 500, f"{type(error).__name__}: {error}"
        self.answer(status, page if isinstance(page, str) else json.dumps(page))

    def do_POST(self):
        first, _, last = self.path.strip("/").partition(".")
        book.add(first, last)
        self.answer(201, "welcome")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words):
        pass


if __name__ == "__main__":
    book.create()
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Guestbook).serve_forever()
