"""Hooks: how each product signs, what it reports, and that a delivery has its effect once."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.app.people import disable_service_account
from orchestrator.domain.access.principals import Actor, Binding, ServiceAccount
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now
from orchestrator.domain.register import BINDINGS, SERVICE_ACCOUNTS
from orchestrator.domain.standard_webhooks import new_secret, sign, signature
from orchestrator.management.hooks.decisions import add_hook, build_delivery, edit_hook, remove_hook
from orchestrator.management.hooks.duties import FollowDeliveries
from orchestrator.management.hooks.events import reported_event
from orchestrator.management.hooks.model import Delivery, Hook, HookDraft, HookEvent, HookForm
from orchestrator.management.hooks.ports import Promoted
from orchestrator.management.hooks.queries import list_deliveries, list_hooks, show_hook
from orchestrator.management.hooks.receiving import MOST_ATTEMPTS, HookReceiver
from orchestrator.management.hooks.signatures import (
    HookRefusal,
    Received,
    check_signature,
)
from orchestrator.management.hooks.state import DELIVERY_TABLE, DeliveryEvent, DeliveryState
from tests.app.desk import NOON, Desk
from tests.management.sources import SHOP, HookProject

COMMIT, SECRET = "a" * 40, "whsec_" + base64.b64encode(b"k" * 32).decode()
PUSH = {"ref": "refs/heads/main", "after": COMMIT, "checkout_sha": None}
TAG = {"ref": "refs/tags/v1.5.0", "after": "b" * 40, "checkout_sha": COMMIT}


def body_of(data: object) -> bytes:
    return json.dumps(data).encode()


def hexdigest(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def signed(form: HookForm, data: object, message_id: str = "m-1", at: Any = NOON) -> Received:
    """A request as the product *form* sends it."""
    body = body_of(data)
    match form:
        case HookForm.GITHUB:
            headers = {"x-hub-signature-256": f"sha256={hexdigest(body)}", "x-github-event": "push"}
            return Received({**headers, "x-github-delivery": message_id}, body)
        case HookForm.GITEA:
            return Received({"x-gitea-signature": hexdigest(body), "x-gitea-event": "push"}, body)
        case HookForm.GITLAB:
            return Received({**sign(SECRET, message_id, at, body), "x-gitlab-event": "Push Hook"}, body)
    return Received(sign(SECRET, message_id, at, body), body)


@pytest.mark.parametrize("form", HookForm)
def test_a_request_is_accepted_only_with_the_signature_of_its_form(form: HookForm) -> None:
    """Each form accepts its own signature, and refuses another secret, another body, and no signature at all."""
    now, good = Now.at(NOON), signed(form, PUSH)
    assert check_signature(form, SECRET, good, now)
    for bad in (
        replace(good, body=good.body + b" "),
        Received({name: value for name, value in good.headers.items() if "signature" not in name}, good.body),
        Received({**good.headers, **{name: "é" for name in good.headers if "signature" in name}}, good.body),
    ):
        with pytest.raises(HookRefusal):
            check_signature(form, SECRET, bad, now)
    with pytest.raises(HookRefusal):
        check_signature(form, new_secret(), good, now)


def test_the_token_of_gitlab_is_compared_if_the_request_has_no_signature() -> None:
    """A hook of GitLab without a signing token accepts the secret token, and a wrong signature is not passed by it."""
    body, now = body_of(PUSH), Now.at(NOON)
    assert check_signature(HookForm.GITLAB, SECRET, Received({"x-gitlab-token": SECRET}, body), now)
    for headers in ({"x-gitlab-token": SECRET[:-1]}, {"x-gitlab-token": SECRET, "webhook-signature": "v1,eA=="}):
        with pytest.raises(HookRefusal):
            check_signature(HookForm.GITLAB, SECRET, Received(headers, body), now)


def test_a_signed_time_counts_for_five_minutes() -> None:
    """A request of Standard Webhooks that is older or newer than 5 minutes is refused, also with a good signature."""
    for minutes, accepted in ((-6, False), (-4, True), (4, True), (6, False)):
        received = signed(HookForm.GENERIC, PUSH, at=NOON + timedelta(minutes=minutes))
        if accepted:
            assert check_signature(HookForm.GENERIC, SECRET, received, Now.at(NOON)) == "id m-1"
        else:
            with pytest.raises(HookRefusal, match="not accepted"):
                check_signature(HookForm.GENERIC, SECRET, received, Now.at(NOON))


@pytest.mark.parametrize("seconds", ["0", "32503680000", "253402300800", "999999999999"])
def test_a_signed_time_of_another_age_is_refused(seconds: str) -> None:
    """A correctly signed number that is no time of a possible year is refused as any other wrong time is."""
    body = body_of(PUSH)
    headers = {
        "webhook-id": "m-1",
        "webhook-timestamp": seconds,
        "webhook-signature": signature(SECRET, "m-1", seconds, body),
    }
    with pytest.raises(HookRefusal, match="not accepted"):
        check_signature(HookForm.GENERIC, SECRET, Received(headers, body), Now.at(NOON))


def test_one_of_several_signatures_is_enough() -> None:
    """While a secret is replaced, a sender signs with both: one good signature among several counts."""
    received = signed(HookForm.GENERIC, PUSH)
    both = {**received.headers, "webhook-signature": f"v1,eHh4 {received.header('webhook-signature')}"}
    assert check_signature(HookForm.GENERIC, SECRET, replace(received, headers=both), Now.at(NOON))


@pytest.mark.parametrize(
    ("form", "header", "data", "expected"),
    [
        (HookForm.GITHUB, "push", PUSH, HookEvent(kind="push", ref="refs/heads/main", commit=COMMIT)),
        (HookForm.GITHUB, "ping", {"zen": "x"}, HookEvent(kind="ping")),
        (HookForm.GITHUB, "issues", {"action": "x"}, HookEvent(kind="other")),
        (HookForm.GITLAB, "Tag Push Hook", TAG, HookEvent(kind="tag", ref="refs/tags/v1.5.0", commit=COMMIT)),
        (HookForm.GITEA, "push", {**PUSH, "after": "0" * 40}, HookEvent(kind="push", ref=PUSH["ref"] or "", ends=True)),
        (HookForm.GENERIC, "", {"release": "shop-1.5.0"}, HookEvent(kind="release", release="shop-1.5.0")),
        (
            HookForm.GENERIC,
            "",
            {"ref": "refs/heads/main", "commit": COMMIT},
            HookEvent(kind="push", ref="refs/heads/main", commit=COMMIT),
        ),
        (HookForm.GENERIC, "", {"type": "ping"}, HookEvent(kind="ping")),
    ],
)  # fmt: skip
def test_events_are_read_from_the_body_of_each_product(
    form: HookForm, header: str, data: object, expected: HookEvent
) -> None:
    """A push, a tag, a deletion, a ping and a named release are told apart, for each product by its own fields."""
    assert reported_event(form, Received({f"x-{form}-event": header}, body_of(data))) == expected


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"ref": "refs/heads/../x", "after": COMMIT},
        {"ref": "--upload-pack=x", "after": COMMIT},
        {"ref": "refs/heads/main", "after": "HEAD"},
        {"ref": "refs/heads/-x", "after": COMMIT},
        {"ref": "refs/heads/main:refs/heads/x", "after": COMMIT},
        {"ref": 1, "after": COMMIT},
    ],
)
def test_names_that_git_would_read_in_another_way_are_refused(data: object) -> None:
    """A branch, tag or commit that is not a plain name is refused: it becomes an argument of Git."""
    with pytest.raises(HookRefusal):
        reported_event(HookForm.GITHUB, Received({"x-github-event": "push"}, body_of(data)))


@dataclass
class Office:
    """A register with the service account *ci* and hooks, and what receives requests to them."""

    desk: Desk = field(default_factory=Desk)
    project: HookProject = field(default_factory=HookProject)
    secrets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.desk.write(SERVICE_ACCOUNTS, ServiceAccount(name="ci"))

    def add(self, form: HookForm = HookForm.GENERIC, **more: Any) -> Hook:
        draft = HookDraft(**{"name": "main", "form": form, "account": "ci", "release": "shop", **more})
        made = add_hook(self.desk.acting("root"), draft, self.project)
        self.secrets[made.hook.name] = made.secret
        return made.hook

    def send(self, data: object, message_id: str = "m-1", name: str = "main", **headers: str) -> tuple[Delivery, bool]:
        body = body_of(data)
        made = sign(self.secrets.get(name, SECRET), message_id, NOON, body)
        receiver = HookReceiver(self.desk.acting("root"), self.project)
        return receiver.receive(name, Received({**made, **headers}, body))

    def deliveries(self) -> tuple[Delivery, ...]:
        return list_deliveries(self.desk.acting("viewer")).items


@pytest.fixture
def office() -> Office:
    """A register without hooks."""
    return Office()


def test_the_secret_of_a_hook_is_shown_once_and_never_listed(office: Office) -> None:
    """A hook is added by an administrator with a secret that the register has only encrypted, and lists do not have."""
    hook = office.add()
    assert office.secrets["main"] not in hook.model_dump_json()
    assert show_hook(office.desk.acting("viewer"), "main").sealed == ""
    assert list_hooks(office.desk.acting("viewer")) == (show_hook(office.desk.acting("viewer"), "main"),)
    wrong: tuple[tuple[str, dict[str, Any]], ...] = (
        ("G701", {}),
        ("A110", {"name": "x", "release": "bank"}),
        ("G701", {"name": "x", "environment": "production", "then": "promote"}),
        ("G701", {"name": "x", "environment": "staging"}),
    )
    for code, fields in wrong:
        with pytest.raises(OrchestratorError) as refused:
            office.add(**fields)
        assert refused.value.code == code


def test_a_repeated_request_finds_the_first_delivery(office: Office) -> None:
    """The same id again, or for products without a signed id the same body, is one delivery with one effect."""
    office.add()
    first, is_new = office.send({"release": "shop-1.5.0"})
    assert is_new
    assert office.send({"release": "shop-1.5.0"}) == (first, False)
    assert office.send({"release": "shop-1.5.0"}, "m-2")[1]
    office.add(HookForm.GITHUB, name="hub")
    body = body_of(PUSH)
    digest = hmac.new(office.secrets["hub"].encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-hub-signature-256": f"sha256={digest}", "x-github-event": "push"}
    receiver = HookReceiver(office.desk.acting("root"), office.project)
    found = [receiver.receive("hub", Received({**headers, "x-github-delivery": each}, body)) for each in "ab"]
    assert (found[0][0], [is_new for _, is_new in found]) == (found[1][0], [True, False])


def test_a_refused_request_is_listed_with_its_reason_and_its_sender_learns_nothing(office: Office) -> None:
    """A wrong signature, a disabled account and an unknown hook get the same response; a hook lists the reason, once a minute."""
    office.add()
    texts = set()
    for headers in ({"webhook-signature": "v1,eA=="}, {"webhook-signature": "v1,eQ=="}):
        with pytest.raises(HookRefusal) as refused:
            office.send(PUSH, **headers)
        texts.add((refused.value.code, refused.value.message))
    disable_service_account(office.desk.acting("root"), "ci")
    for name in ("main", "unknown"):
        with pytest.raises(HookRefusal) as refused:
            office.send({"release": "shop-1.5.0"}, name=name)
        texts.add((refused.value.code, refused.value.message))
    assert len(texts) == 1
    notes = {each.note for each in office.deliveries()}
    assert notes == {
        "the signature in webhook-signature is missing or wrong",
        "the service account ci does not exist or is disabled",
    }
    assert {each.state for each in office.deliveries()} == {DeliveryState.REFUSED}
    denied = office.desk.register.reading(lambda records: [e for e in records.audit() if e.outcome == "denied"])
    assert [entry.object for entry in denied] == ["hook:main", "hook:main"]


def test_events_that_a_hook_is_not_for_are_ignored_with_the_reason(office: Office) -> None:
    """A ping, another branch, a tag, and a deletion are accepted, listed, and have no effect."""
    office.add(ref="main")
    sent: tuple[dict[str, Any], ...] = (
        {"type": "ping"}, {"ref": "refs/heads/dev", "commit": COMMIT}, {"ref": "refs/tags/v1", "commit": COMMIT},
        {"ref": "refs/heads/main", "commit": "0" * 40}, {"type": "x"},
    )  # fmt: skip
    for number, data in enumerate(sent):
        assert office.send(data, f"m-{number}")[0].state is DeliveryState.IGNORED
    assert office.send({"ref": "refs/heads/main", "commit": COMMIT}, "m-9")[0].state is DeliveryState.WAITING


@dataclass
class Executions:
    """What the application of these tests does for deliveries."""

    failure: str = ""
    error: str = ""
    calls: list[str] = field(default_factory=list)

    def request_build(self, hook: Hook, delivery: Delivery) -> str:
        self.calls.append(f"build {delivery.event.commit[:3]} for {hook.account}")
        return self.failure

    def promote(self, hook: Hook, delivery: Delivery) -> Promoted:
        del hook
        if self.error:
            raise OrchestratorError(self.error, "no")
        self.calls.append(f"promote {delivery.package or delivery.event.release}")
        return Promoted(SHOP, f"{delivery.root}-staging")


def followed(office: Office, executions: Executions) -> list[str]:
    """What the duty does now."""
    acting = replace(office.desk.acting("release-manager"))
    duty, now = FollowDeliveries(acting, executions), Now.at(NOON)
    return list(duty.do(acting, now)) if duty.due(now) else []


def test_only_a_delivery_that_has_failed_is_repeated(office: Office) -> None:
    """The same request after a failure is a new attempt with a root of its own; after a success or while it waits it is not."""
    office.add(then="promote", environment="staging", events=("release",))
    first, _ = office.send({"release": "shop-1.5.0"})
    assert office.send({"release": "shop-1.5.0"}) == (first, False)
    followed(office, Executions(error="A101"))
    second, is_new = office.send({"release": "shop-1.5.0"})
    assert (is_new, second.attempt, second.state, second.root != first.root) == (True, 2, DeliveryState.WAITING, True)
    does = Executions()
    followed(office, does)
    done, is_new = office.send({"release": "shop-1.5.0"})
    assert (done.id, done.state, is_new, does.calls) == (
        second.id,
        DeliveryState.COMPLETED,
        False,
        ["promote shop-1.5.0"],
    )
    failed = list_deliveries(office.desk.acting("viewer"), state=DeliveryState.FAILED).items
    assert [(each.id, each.attempt) for each in failed] == [(first.id, 1)]
    assert [each.id for each in list_deliveries(office.desk.acting("viewer"), oldest_first=True).items] in (
        [first.id, second.id],
        [second.id, first.id],
    )


def test_attempts_of_one_request_end(office: Office) -> None:
    """A request that fails each time is accepted 20 times: one who has recorded it cannot start work without end."""
    office.add(then="promote", environment="staging", events=("release",))
    found = []
    for _ in range(MOST_ATTEMPTS + 3):
        found.append(office.send({"release": "shop-1.5.0"})[1])
        followed(office, Executions(error="A101"))
    assert (found.count(True), found[MOST_ATTEMPTS:]) == (MOST_ATTEMPTS, [False] * 3)


def test_a_hook_is_changed_and_keeps_its_secret(office: Office) -> None:
    """An edit changes what the hook does for later requests, is checked as a new hook, and needs the right for tokens."""
    office.add()
    root, draft = (
        office.desk.acting("root"),
        HookDraft(name="main", form=HookForm.GENERIC, account="ci", release="shop"),
    )
    changed = edit_hook(root, draft.model_copy(update={"ref": "main"}), office.project)
    assert (changed.ref, changed.sealed) == ("main", "")
    assert office.send({"ref": "refs/heads/dev", "commit": COMMIT})[0].state is DeliveryState.IGNORED
    assert office.send({"ref": "refs/heads/main", "commit": COMMIT}, "m-2")[0].state is DeliveryState.WAITING
    for code, fields in (
        ("A110", {"release": "bank"}),
        ("A110", {"account": "x"}),
        ("G701", {"environment": "staging"}),
    ):
        with pytest.raises(OrchestratorError) as refused:
            edit_hook(root, draft.model_copy(update=fields), office.project)
        assert refused.value.code == code
    with pytest.raises(OrchestratorError, match="tokens:manage"):
        edit_hook(office.desk.acting("operator"), draft, office.project)


def test_a_delivery_is_built_by_a_worker_and_then_promoted_once(office: Office) -> None:
    """A push is built as the service account, its package is promoted, and nothing is repeated afterwards."""
    hook, does = office.add(then="promote", environment="staging"), Executions()
    delivery, _ = office.send({"ref": "refs/heads/main", "commit": COMMIT})
    assert followed(office, does) == []
    acting = replace(office.desk.acting("release-manager"), actor=Actor(name="release-manager"))
    with pytest.raises(OrchestratorError, match="for no other actor"):
        build_delivery(acting, delivery.id, office.project)
    as_ci = replace(acting, actor=hook.actor)
    with pytest.raises(OrchestratorError, match="package:build"):
        build_delivery(as_ci, delivery.id, office.project)
    office.desk.write(BINDINGS, Binding(role="release-manager", to="service-account:ci"))
    built = build_delivery(as_ci, delivery.id, office.project)
    assert (built.state, built.package) == (DeliveryState.BUILT, SHOP)
    assert build_delivery(as_ci, delivery.id, office.project) == built
    assert office.project.built == [("ci", "shop", COMMIT)]
    assert followed(office, does) == [f"the delivery {delivery.id} of main is completed"]
    assert followed(office, does) == []
    assert does.calls == ["build aaa for ci", f"promote {SHOP}"]
    assert office.deliveries()[0].run_request == f"{delivery.root}-staging"


def test_what_cannot_be_done_ends_the_delivery_with_the_reason(office: Office) -> None:
    """A build that fails, a promotion that is refused, and a hook that was removed end as failed, each with the reason."""
    office.add(events=("push", "release"), then="promote")
    office.send({"ref": "refs/heads/main", "commit": COMMIT})
    assert followed(office, Executions(failure="git fetch failed (P125)"))[0].endswith("git fetch failed (P125)")
    office.send({"release": "shop-1.5.0"}, "m-2")
    assert followed(office, Executions(error="A101"))[0].endswith("no (A101)")
    office.send({"release": "shop-1.5.0"}, "m-3")
    remove_hook(office.desk.acting("root"), "main")
    assert followed(office, Executions())[0].endswith("the hook main was removed")
    assert {each.state for each in office.deliveries()} == {DeliveryState.FAILED}


@given(st.lists(st.sampled_from(DeliveryEvent)))
def test_no_sequence_of_events_leaves_the_table_of_deliveries(events: list[DeliveryEvent]) -> None:
    """An event that the table does not have is refused and changes nothing; an end has a time, and nothing after it."""
    delivery = Delivery(id="d", hook="main", received_at=NOON, event=HookEvent(kind="push"))
    for event in events:
        allowed = DELIVERY_TABLE.allows(delivery.state, event)
        try:
            delivery = delivery.after(event, NOON)
        except OrchestratorError as error:
            assert (error.code, allowed) == ("G101", False)  # noqa: PT017 - a refused event is no failure
        assert (delivery.ended_at is not None) == delivery.has_ended == (delivery.state in DELIVERY_TABLE.ends)
