"""A customer: `python app/customer.py order kettle URL...`, `python app/customer.py look URL...`."""

import sys
import urllib.request


def ask(url, method="GET"):
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode().strip()


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "order":
        thing, *urls = rest
        for url in urls:
            ask(f"{url}/{thing}", "POST")
            print(f"{url}: ordered a {thing}")
    else:
        for url in rest:
            print(f"{url}: version {ask(f'{url}/version')}, orders {ask(f'{url}/orders')}")
