"""S23: requests to the server that mean two things, leave its folders, lead elsewhere, or come from another site."""

import contextlib
import os
import random
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from orchestrator.web import limits, protection, requests
from orchestrator.web.pages import signing_in
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced
from tests.cli.memory_project import MemoryProject
from tests.server.listening import listening
from tests.server.site import PASSWORD, Browser, Site

LINE, ABOUT = "S23", "requests to the server that mislead it"

PATIENCE_S = 20.0
QUIET_S = 0.5
"""After a response the server may keep the connection: what follows within this time belongs to the answer."""
FREE = limits.Rate(burst=10**6, each_s=10**5)
SECOND = b"GET /assets/icon.svg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
"""The request that is hidden in another one: its response is a picture."""
PICTURE = b"image/svg+xml"


@dataclass
class Target:
    """A server that listens at *port*, and a user with a session in it."""

    site: Site
    folder: Path
    port: int
    browser: Browser
    run: str

    @property
    def cookie(self) -> str:
        """The header of the session."""
        return "; ".join(f"{name}={value}" for name, value in self.browser.cookies.items())

    def locked(self) -> bool:
        """Whether staging is locked."""
        return self.browser.get("/api/v1/environments/staging").json()["lease"] is not None


def _target(folder: Path, stack: ExitStack) -> Target:
    for name in ("REQUESTS", "ADDRESS", "SIGN_IN"):
        stack.enter_context(replaced(limits, name, FREE))
    project = MemoryProject(folder, rules={"production": {"after": None}}).lay()
    run = project.go("staging", "1.0.0").id
    jobs = folder / ".orchestrator" / "jobs" / f"{run}.deploy"
    jobs.mkdir(parents=True)
    (jobs / "output.log").write_text("PLAY [web]\n")
    site = Site(project)
    browser = site.user("ann", "operator")
    site.user("ben", "operator")
    port = stack.enter_context(listening(site.server))
    return Target(site, folder, port, browser, run)


def target(yard: Yard) -> Target:
    """The server of this line."""
    return yard.shared.part("server", _target)


def sent(port: int, data: bytes) -> bytes:
    """What the server answers to these bytes, until it closes the connection or nothing follows."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
        received = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            client.sendall(data)
            while part := client.recv(65536):
                received += part
                client.settimeout(QUIET_S)
    return received


# -- bytes that two readers divide in different places -----------------------------------------------------------------

HEAD = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LENGTH = b"%d" % len(SECOND)
FRAMES: dict[str, bytes] = {
    "a length and chunks": HEAD + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(SECOND)),
    "chunks and a length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: " + LENGTH + b"\r\nContent-Length: 0\r\n\r\n",
    "two lengths the other way": HEAD + b"Content-Length: 0\r\nContent-Length: " + LENGTH + b"\r\n\r\n",
    "a list of lengths": HEAD + b"Content-Length: 0, " + LENGTH + b"\r\n\r\n",
    "a length with a sign": HEAD + b"Content-Length: +0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length in hexadecimal": HEAD + b"Content-Length: 0x0\r\n\r\n",
    "a length with an underscore": HEAD + b"Content-Length: 0_0\r\n\r\n",
    "a length in other digits": HEAD + "Content-Length: ٠\r\n\r\n".encode(),
    "a length without a value": HEAD + b"Content-Length:\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 0\r\n\r\n",
    "a space before the colon of chunks": HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "another encoding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two encodings": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an encoding twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an encoding with a tab": HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a quoted encoding": HEAD + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "a negative chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a chunk with a sign": HEAD + b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
    "a chunk in hexadecimal": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "an endless chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 40 + b"\r\n\r\n",
    "a chunk that is longer than it says": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "a zero byte in a header": HEAD + b"X-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "a return in a header": HEAD + b"X-A: a\rContent-Length: 7\r\n\r\n",
    "a header without a colon": HEAD + b"Content-Length\r\n\r\n",
    "a header that starts with a space": HEAD + b" Content-Length: 7\r\n\r\n",
    "two hosts": b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.test\r\nContent-Length: 0\r\n\r\n",
    "no host": b"POST /sign-in HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "another host": b"POST /sign-in HTTP/1.1\r\nHost: evil.test\r\nContent-Length: 0\r\n\r\n",
    "a host with a user": b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1@evil.test\r\nContent-Length: 0\r\n\r\n",
    "a version that does not exist": b"POST /sign-in HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n",
    "a line that is not a request": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "headers of 40 kB": HEAD + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n",
    "5,000 headers": HEAD + b"X-A: a\r\n" * 5_000 + b"\r\n",
    "an address of 40 kB": b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a space in the address": b"GET /sign-in /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a return in the method": b"GET\r /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}  # fmt: skip
"""Each ends where one reader sees the end of the request, and is followed by another request."""
WHOLE = {"a version that does not exist"}
"""Requests that end where every reader sees their end: a request behind them is one of its own."""


def _framed(name: str, yard: Yard) -> Outcome:
    answer = sent(target(yard).port, FRAMES[name] + (b"" if name in WHOLE else SECOND))
    statuses = [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3})", answer)]
    if PICTURE in answer:
        return Outcome(accepted=f"the request behind it: {statuses}")
    return HELD if statuses and min(statuses) >= 400 and max(statuses) < 500 else Outcome(accepted=f"{statuses}")


# -- paths that leave their folder -------------------------------------------------------------------------------------

ROUTES = (
    "/assets/{}", "/api/v1/runs/{run}/outputs/{}", "/runs/{run}/outputs/{}", "/runs/{}/outputs/x", "/api/v1/packages/{}",
    "/api/v1/plans/{}", "/plans/{}", "/errors/{}",
)  # fmt: skip
WRITINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "with encoded slashes": lambda path: quote(path, safe="."),
    "with encoded dots": lambda path: path.replace(".", "%2e"),
    "encoded twice": lambda path: quote(quote(path, safe="."), safe=""),
    "with backslashes": lambda path: path.replace("/", "%5c"),
    "with overlong slashes": lambda path: path.replace("/", "%c0%af"),
    "with a zero byte": lambda path: quote(path, safe=".") + "%00.css",
    "with dots and slashes twice": lambda path: path.replace("../", "....//"),
}


def _path(route: str, writing: Callable[[str], str], absolute: bool, yard: Yard) -> Outcome:
    found = target(yard)
    secret = yard.outside / "project.key"
    name = str(secret) if absolute else os.path.relpath(secret, found.folder / ".orchestrator" / "jobs" / "x")
    address = route.replace("{run}", found.run).replace("{}", writing(name))
    lines = (f"GET {address} HTTP/1.1", "Host: 127.0.0.1", f"Cookie: {found.cookie}", "Connection: close", "", "")
    answer = sent(found.port, "\r\n".join(lines).encode())
    if yard.canary.encode() in answer:
        return Outcome(read=("project.key",))
    status = int(answer.split(b" ")[1])
    return HELD if 400 <= status < 500 else Outcome(accepted=f"{address}: {status}")


# -- addresses to which a sign-in leads --------------------------------------------------------------------------------

NEXT = (
    "https://evil.test/", "//evil.test/", "///evil.test/", "/\\evil.test/", "\\\\evil.test/", "/\t/evil.test/", "/\n/evil.test/",
    "/\r/evil.test/", "\t//evil.test/", " //evil.test/", "http:evil.test", "http:/evil.test", "https:\\\\evil.test",
    "javascript:alert(1)", "data:text/html,x", "//evil.test\\@127.0.0.1/", "http://127.0.0.1@evil.test/", "/%09/evil.test/",
    "/.//evil.test/", "/x/..//evil.test/", "/\x00/evil.test/", "／／evil.test/", "/\u2028/evil.test", "/ok\r\nSet-Cookie: orchestrator=x",
)  # fmt: skip


def _leads_elsewhere(location: str) -> bool:
    """Whether a browser leaves the server by this address: it reads backslashes as slashes, and omits control characters."""
    plain = re.sub(r"[\t\r\n]", "", location.strip("\x00\t\r\n ")).replace("\\", "/")
    found = urlsplit(urljoin("http://127.0.0.1/sign-in", plain))
    return (found.scheme, found.netloc) != ("http", "127.0.0.1")


def _signs_in(text: str, yard: Yard) -> Outcome:
    browser = target(yard).site.browser()
    done = browser.send("/sign-in", name="ann", password=PASSWORD, next=text)
    location = done.headers.get("location", "")
    if done.status_code != 303 or _leads_elsewhere(location) or "x" in browser.cookies.values():
        return Outcome(accepted=f"{done.status_code} {location!r}")
    page = target(yard).site.browser().request("GET", "/sign-in", params={"next": text}).text
    offered = re.findall(r'name="next" value="([^"]*)"', page)
    return HELD if not any(map(_leads_elsewhere, offered)) else Outcome(accepted=f"the form offers {offered}")


# -- forms and calls of other sites ------------------------------------------------------------------------------------

OWN = "http://127.0.0.1:8750"
FORGED: dict[str, dict[str, str]] = {
    "no origin": {},
    "the origin of another site": {"origin": "http://evil.test"},
    "no real origin": {"origin": "null"},
    "an origin that starts alike": {"origin": f"{OWN}.evil.test"},
    "an origin with a user": {"origin": "http://127.0.0.1:8750@evil.test"},
    "another port": {"origin": "http://127.0.0.1:8751"},
    "a referrer alone": {"referer": f"{OWN}/environments/staging"},
    "a site beside": {"sec-fetch-site": "same-site", "origin": OWN},
    "another site by its own word": {"sec-fetch-site": "cross-site", "origin": OWN},
    "an address bar": {"sec-fetch-site": "none", "origin": OWN},
    "another method by a header": {"x-http-method-override": "POST", "origin": "http://evil.test"},
}
WAYS = ("a form", "a call of the API", "a call as plain text")
TOKENS = ("none", "empty", "of another session", "too long")


def _post(found: Target, way: str, headers: dict[str, str], token: str | None) -> int:
    if way == "a form":
        fields = {"reason": "forged"} | ({"form_token": token} if token is not None else {})
        return found.browser.request("POST", "/environments/staging/lock", data=fields, headers=headers).status_code
    kind = "text/plain" if way == "a call as plain text" else "application/json"
    more = {"content-type": kind} | ({"x-form-token": token} if token is not None else {})
    path = "/api/v1/environments/staging/lock"
    return found.browser.request("POST", path, content=b'{"reason": "forged"}', headers={**headers, **more}).status_code


def _judged(found: Target, status: int) -> Outcome:
    if found.locked():
        found.browser.form("/environments/staging/unlock", reason="restored")
        return Outcome(accepted=f"{status}, and the environment is locked")
    return HELD if 400 <= status < 500 else Outcome(accepted=str(status))


def _forged(way: str, headers: dict[str, str], yard: Yard) -> Outcome:
    found = target(yard)
    return _judged(found, _post(found, way, headers, found.browser.form_token))


def _without_token(way: str, token: str, yard: Yard) -> Outcome:
    found = target(yard)
    other = found.site.signed_in("root").form_token if token == "of another session" else ""
    given = {"none": None, "empty": "", "of another session": other, "too long": "x" * 5000}[token]
    return _judged(found, _post(found, way, {"origin": OWN}, given))


# -- sessions that somebody else knows ---------------------------------------------------------------------------------

FIXED = ("A" * 43, "", "x", "%00", "A" * 5000, "ann", "../../root")


def _fixed(value: str, yard: Yard) -> Outcome:
    """A value that was in the browser before the sign-in is not that of the session afterwards."""
    browser = target(yard).site.browser()
    browser.cookies.set("orchestrator", value, domain="127.0.0.1")
    done = browser.send("/sign-in", name="ann", password=PASSWORD)
    made = re.findall(r"orchestrator=([^;]*)", done.headers.get("set-cookie", ""))
    return HELD if done.status_code == 303 and made and value not in made else Outcome(accepted=f"{made}")


def _known(ending: str, yard: Yard) -> Outcome:
    """The value of a session that has ended, or that was renewed by another sign-in, is refused."""
    site = target(yard).site
    browser, thief = site.signed_in("ben"), site.browser()
    thief.cookies.update(browser.cookies)
    if ending == "a sign-out":
        browser.form("/sign-out")
    else:
        browser.send("/sign-in", name="ben", password=PASSWORD)
    status = thief.get("/api/v1/me").status_code
    return HELD if status == 401 else Outcome(accepted=f"the session after {ending}: {status}")


def cases(seed: int) -> Iterator[Case]:
    """Every request, in an order that follows from the seed."""
    found = [Case(f"bytes: {name}", partial(_framed, name)) for name in FRAMES]
    found += [
        Case(f"path: {kind} {name} in {route}", partial(_path, route, writing, kind == "absolute"))
        for route in ROUTES
        for name, writing in WRITINGS.items()
        for kind in ("relative", "absolute")
    ]
    found += [Case(f"next page: {text!r}", partial(_signs_in, text)) for text in NEXT]
    found += [Case(f"{way} with {name}", partial(_forged, way, how)) for way in WAYS for name, how in FORGED.items()]
    found += [
        Case(f"{way} with a token: {token}", partial(_without_token, way, token)) for way in WAYS for token in TOKENS
    ]
    found += [Case(f"a session before the sign-in: {value[:20]!r}", partial(_fixed, value)) for value in FIXED]
    found += [Case(f"a session after {ending}", partial(_known, ending)) for ending in ("a sign-out", "a new sign-in")]
    random.Random(seed).shuffle(found)
    yield from found


DEFENCES: dict[str, Defence] = {
    "origin": lambda: replaced(requests, "check_origin", lambda _request: None),
    "form token": lambda: replaced(requests, "check_form", lambda _who, _form: None),
    "next page": lambda: replaced(signing_in, "own_path", lambda text: text),
    "framing": lambda: replaced(protection, "is_ambiguous", lambda _headers: False),
    "host": lambda: replaced(protection, "_host", lambda _scope: "127.0.0.1"),
}
