"""A Pulumi program that asks the broker of loopback hosts for what it may not have: others' hosts, addresses, processes."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from itertools import product
from pathlib import Path
from random import Random

from orchestrator.hosts import broker, loopback
from orchestrator.hosts.broker import Broker
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE = "S15"
ABOUT = "an isolated program makes, finds or ends a loopback host that is not of its stack, or by a preview"
OWN, OTHER = "shop-staging", "shop-production"
PLAIN = {"what": "find", "stack": OWN, "name": "web1"}
VALUES: dict[str, object] = {
    "no text": None, "a number": 7, "a truth": True, "a list": ["web1"], "a mapping": {"web1": 1}, "nothing in it": "",
    "dots": "..", "a path": "../shop-production/web1", "a whole path": "/etc", "a blank": "web1 web2", "a line": "web1\nweb2",
    "a zero": "web1\0", "an option": "-oProxyCommand=id", "a very long text": "w" * 10_000, "marks": "wéb\u202e1",
}  # fmt: skip
OF_OTHERS = ("find", "alive", "start", "stop")
ADDRESSES = ("10.0.0.1", "0.0.0.0", "::1", "127.0.0.256", "localhost", "127.1", "2130706433")
PORTS = (0, -1, 65536, 2.5, "2222", [22], 10**30)


def cases(seed: int) -> Iterator[Case]:
    """Each field with each strange value, each question about another stack, each address and port, and broken questions."""
    random = Random(seed)
    for field, (what, value) in product(("what", "name"), VALUES.items()):
        yield Case(f"{field}: {what}", partial(_asked, {**PLAIN, field: value}))
    for what, value in VALUES.items():
        yield Case(f"stack: {what}", partial(_asked, {**PLAIN, "what": "start", "stack": value}))
    for what in OF_OTHERS:
        yield Case(f"{what} of another stack", partial(_asked, {**PLAIN, "what": what, "stack": OTHER}))
        yield Case(
            f"{what} of another stack by its own name",
            partial(_asked, {**PLAIN, "what": what, "name": f"../{OTHER}/web1"}),
        )
    for value in ADDRESSES:
        yield Case(f"address {value}", partial(_asked, {**PLAIN, "what": "start", "address": value}))
    for port in PORTS:
        yield Case(f"port {port}", partial(_asked, {**PLAIN, "what": "start", "port": port}))
    for what in ("start", "stop"):
        yield Case(f"{what} by a preview", partial(_asked, {**PLAIN, "what": what}, acts=False))
    for field in PLAIN:
        yield Case(f"without {field}", partial(_asked, {name: value for name, value in PLAIN.items() if name != field}))
    whole = json.dumps(PLAIN)
    for name, text in {
        "cut": whole[: random.randrange(2, len(whole) - 2)], "twice": whole * 2, "deep": "[" * 90_000, "no JSON": "start web1",
        "a list of questions": f"[{whole}]", "a word": '"find"',
    }.items():  # fmt: skip
        yield Case(f"a question that is {name}", partial(_raw, text.encode()))


def _asked(question: Mapping[str, object], yard: Yard, *, acts: bool = True) -> Outcome:
    return _raw(json.dumps(question).encode(), yard, acts=acts)


def _raw(question: bytes, yard: Yard, *, acts: bool = True) -> Outcome:
    state, other = yard.inside / "state", yard.inside / "state/hosts" / OTHER / "web1"
    other.mkdir(parents=True)
    (other / "host.json").write_text(json.dumps({**_HOST, "folder": str(other)}))
    before, os.environ["ORCHESTRATOR_STATE"] = os.environ.get("ORCHESTRATOR_STATE"), str(state)
    try:
        answer = Broker(OWN, acts=acts).answer(question)
    finally:
        os.environ.pop("ORCHESTRATOR_STATE")
        if before is not None:
            os.environ["ORCHESTRATOR_STATE"] = before
    made = [host.name for host in loopback.recorded(state) if Path(host.folder) != other]
    for host in loopback.recorded(state):
        if Path(host.folder) != other:
            loopback.remove_host(host)
    if made or not other.is_dir():
        return Outcome(accepted=f"it made or ended {made or [OTHER]}")
    harmless = "error" in answer or answer["answer"] in (None, False)
    return HELD if harmless else Outcome(accepted=str(answer)[:200])


_HOST = {"name": "web1", "address": "127.0.0.1", "port": 1, "app_port": 1, "user": "root", "isolated": True}


def _any_stack() -> AbstractContextManager[object]:
    return replaced(broker.Broker, "_check", lambda _self, _what, _stack, _name: None)


DEFENCES: Mapping[str, Defence] = {"the broker has one stack": _any_stack}
