"""A small shop: pages for people, machines and the health check, and orders on disk."""

import configparser
import json
import pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "1.2.1"
HERE = pathlib.Path(__file__).resolve().parent
CONFIG = configparser.ConfigParser()
CONFIG.read(HERE / "shop.ini")
SHOP = CONFIG["shop"]
ORDERS = HERE / "data" / "orders.json"


def orders():
    return json.loads(ORDERS.read_text()) if ORDERS.exists() else []


def order(item):
    ORDERS.write_text(json.dumps([*orders(), {"item": item}]))


PAGES = {
    "/": lambda: f"Welcome to {SHOP['name']}, version {VERSION}",
    "/version": lambda: VERSION,
    "/health": lambda: f"ok {VERSION}",
    "/price": lambda: f"{100 * (1 + float(SHOP['tax'].replace(',', '.')) / 100):.2f} with tax",
    "/orders": lambda: json.dumps(orders()),
    "/gift-cards": lambda: "10, 20 and 50",
}


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        page = PAGES.get(self.path)
        if page is None:
            return self.answer(404, "no such page")
        try:
            return self.answer(200, page())
        except Exception as error:
            return self.answer(500, f"{type(error).__name__}: {error}")

    def do_POST(self):
        order(self.path.strip("/"))
        self.answer(201, "thank you")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 64
    allow_reuse_address = True


if __name__ == "__main__":
    Server((SHOP["address"], SHOP.getint("port")), Shop).serve_forever()
