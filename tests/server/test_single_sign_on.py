"""Sign-in with a real OpenID Connect provider, and what an attacker or a faulty provider may send."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from orchestrator.app.access import grant
from orchestrator.app.people import add_group, add_user, disable_user
from orchestrator.app.provider_accounts import list_accounts, unlink_account
from orchestrator.domain.access.principals import Actor, Binding, Method, User
from orchestrator.domain.access.provider_sign_in import LOGOUT_EVENT, account_key
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import ACCOUNTS, GROUPS, USERS
from tests.cli.memory_project import PROJECT, MemoryProject, project  # noqa: F401 - a fixture
from tests.identity_provider import CLIENT, SECRET, IdentityProvider, key, providing
from tests.issuer import Issuer, issuing
from tests.server.site import HTML, ORIGIN, Browser, Site

GROUP_RULES = {"map": {"ops": "operators", "admins": "administrators"}}
FILE = {"client_secret": {"file": "client-secret"}}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    with providing(tmp_path_factory.mktemp("provider"), ORIGIN) as made:
        yield made


@dataclass
class Entry:
    """A site with providers, and the ways into it."""

    site: Site
    provider: IdentityProvider

    def signs_in(self, browser: Browser, subject: str = "7001", next_path: str = "/runs") -> httpx2.Response:
        """Use the link of the sign-in page, the pages of the provider, and the way back."""
        away = browser.get("/sign-in/company", **HTML) if not next_path else begun(browser, next=next_path)
        return browser.get(local(self.provider.browser().signs_in(away.headers["location"], subject)), **HTML)


def begun(browser: Browser, name: str = "company", **query: str) -> httpx2.Response:
    found = browser.get(f"/sign-in/{name}?{urlencode(query)}", **HTML)
    assert found.status_code == 303, found.text
    return found


def local(url: str) -> str:
    assert url.startswith(f"{ORIGIN}/"), url
    return url.removeprefix(ORIGIN)


def site_with(project: MemoryProject, *providers: dict[str, Any]) -> Site:  # noqa: F811
    rules = json.dumps({"providers": providers})
    (project.folder / "orchestrator.yaml").write_text(f"{PROJECT}sign_in: {rules}\n")
    (project.folder / "client-secret").write_text(f"{SECRET}\n")
    return Site(project)


@pytest.fixture
def entry(project: MemoryProject, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch) -> Entry:  # noqa: F811
    """A server whose provider maps `ops` to the group `operators`, which may view."""
    monkeypatch.setenv("SSL_CERT_FILE", str(provider.folder / "ca.pem"))
    site = site_with(project, provider.settings(**FILE, groups=GROUP_RULES))
    add_group(site.root, "operators", ())
    grant(site.root, Binding(role="viewer", to="group:operators"))
    return Entry(site, provider)


def members(site: Site, name: str) -> tuple[str, ...]:
    found = site.app.register.reading(lambda records: records.get(GROUPS, name))
    return found.members if found else ()


def entries(site: Site) -> list[Any]:
    return list(site.app.register.reading(lambda records: records.audit()))


def refused(response: httpx2.Response, code: str, *hidden: str) -> None:
    """*response* is a page for people with *code*, and it says nothing of what is *hidden*."""
    assert (code in response.text, response.headers["content-type"][:9]) == (True, "text/html"), response.text
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert not [text for text in hidden if text in response.text]


# -- with the real provider ---------------------------------------------------------------------------------------------


def test_a_user_signs_in_with_a_provider(entry: Entry) -> None:
    """A button leads to the provider; the user is created, has the groups of the account, and reaches the page at the start."""
    browser = entry.site.browser()
    page = browser.get("/sign-in?next=/runs", **HTML).text
    assert 'href="/sign-in/company?next=/runs">Sign in with Company</a>' in page
    away = begun(browser, next="/runs")
    query = parse_qs(urlsplit(away.headers["location"]).query)
    assert (query["code_challenge_method"], query["response_type"], SECRET in str(query)) == (["S256"], ["code"], False)
    done = browser.get(local(entry.provider.browser().signs_in(away.headers["location"])), **HTML)
    assert (done.status_code, done.headers["location"]) == (303, "/runs"), done.text
    me = browser.get("/api/v1/me").json()
    assert (me["actor"]["name"], me["actor"]["method"]) == ("ann", "sso")
    assert browser.get("/runs").status_code == 200
    assert "Authenticated by sso (company)" in browser.get("/me", **HTML).text
    ann = entry.site.app.register.reading(lambda records: records.get(USERS, "ann"))
    assert ann is not None
    assert (ann.display_name, ann.email, members(entry.site, "operators")) == ("Ann Lee", "ann@example.com", ("ann",))
    account = entry.site.app.register.reading(lambda r: r.get(ACCOUNTS, account_key(entry.provider.issuer, "7001")))
    assert account is not None
    assert (account.user, account.subject, account.name) == ("ann", "7001", "ann")
    start = next(each for each in reversed(entries(entry.site)) if each.action == "session:start")
    assert (start.actor, start.method.value, start.detail["provider"]) == ("ann", "sso", "company")
    assert SECRET not in repr(entries(entry.site))


def test_a_renamed_account_stays_one_user_and_a_reused_name_is_another_account(entry: Entry) -> None:
    """An account is known by its subject: after a new name it is the same user, and its old name gives nobody its rights."""
    entry.signs_in(entry.site.browser())
    try:
        entry.provider.change_accounts(_7001={"preferred_username": "ann.new"}, _7002={"preferred_username": "ann"})
        renamed, other = entry.site.browser(), entry.site.browser()
        assert entry.signs_in(renamed).status_code == 303
        assert renamed.get("/api/v1/me").json()["actor"]["name"] == "ann"
        response = entry.signs_in(other, "7002")
        refused(response, "N156", "ann", "first_sign_in")
        assert (response.status_code, other.get("/api/v1/me").status_code) == (403, 401)
        denied = entries(entry.site)[-1]
        assert (denied.outcome, denied.detail["subject"]) == ("denied", "7002")
        assert denied.detail["reason"] == "the user ann exists already (first_sign_in: create)"
    finally:
        entry.provider.change_accounts(_7001={"preferred_username": "ann"}, _7002={"preferred_username": "bob"})


def test_groups_follow_the_account_at_each_sign_in(entry: Entry) -> None:
    """A user who loses a group at the provider loses it here at the next sign-in; groups that are not mapped stay."""
    entry.signs_in(browser := entry.site.browser())
    add_group(entry.site.root, "others", ("ann",))
    try:
        entry.provider.change_accounts(_7001={"groups": []})
        assert entry.signs_in(entry.site.browser()).status_code == 303
        assert (members(entry.site, "operators"), members(entry.site, "others")) == ((), ("ann",))
        assert browser.get("/runs").status_code == 403
        entry.provider.change_accounts(_7001={"groups": ["admins"]})
        response = entry.signs_in(entry.site.browser())
        refused(response, "N157", "administrators")
        assert "the configured group administrators does not exist" in entries(entry.site)[-1].detail["reason"]
    finally:
        entry.provider.change_accounts(_7001={"groups": ["ops", "staff"]})


def test_an_account_is_unlinked_with_its_sessions(entry: Entry) -> None:
    """An unlinked account has no session any more, and is a new one at its next sign-in; other users may not unlink it."""
    browser, root = entry.site.browser(), entry.site.root
    entry.signs_in(browser)
    assert browser.get("/runs").status_code == 200
    ann = entry.site.app.acting_as(Actor(name="ann", method=Method.SSO))
    with pytest.raises(OrchestratorError, match="people:manage"):
        unlink_account(ann, "ann")
    for user, issuer, code in (("root", None, "A110"), ("ann", "https://other.example", "A110"), ("zoe", None, "A110")):
        with pytest.raises(OrchestratorError) as refusal:
            unlink_account(root, user, issuer)
        assert refusal.value.code == code
    assert [each.subject for each in list_accounts(root, "ann")] == ["7001"]
    assert unlink_account(root, "ann", reason="left").subject == "7001"
    assert browser.get("/runs", **HTML).headers["location"] == "/sign-in?next=/runs"
    assert list_accounts(root, "ann") == ()
    refused(entry.signs_in(entry.site.browser()), "N156")
    newest = next(each for each in reversed(entries(entry.site)) if each.object.startswith("account:"))
    assert (newest.detail["user"], newest.reason) == ("ann", "left")


def test_a_disabled_user_is_refused(entry: Entry) -> None:
    """A user who is disabled here has no way in through the provider, and the page does not say why."""
    entry.signs_in(browser := entry.site.browser())
    disable_user(entry.site.root, "ann")
    assert browser.get("/api/v1/me").status_code == 401
    refused(entry.signs_in(entry.site.browser()), "N156", "disabled")
    assert entries(entry.site)[-1].detail["reason"] == "the user ann is disabled"


@pytest.mark.parametrize(
    ("mode", "name", "allowed", "reason"),
    [
        ("create", "bob", False, "the user bob exists already"),
        ("link", "bob", True, ""),
        ("create-or-link", "bob", True, ""),
        ("link", None, False, "the user bob does not exist"),
        ("create-or-link", None, True, ""),
        ("refuse", "bob", False, "has not signed in before"),
    ],
)
def test_the_configuration_decides_about_first_sign_ins(
    project: MemoryProject, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch,  # noqa: F811
    mode: str, name: str | None, allowed: bool, reason: str,
) -> None:  # fmt: skip
    """A first sign-in creates a user, takes the existing one of its name, or is refused, as `first_sign_in` says."""
    monkeypatch.setenv("SSL_CERT_FILE", str(provider.folder / "ca.pem"))
    entry = Entry(site_with(project, provider.settings(**FILE, first_sign_in=mode)), provider)
    if name:
        add_user(entry.site.root, User(name=name))
    response = entry.signs_in(browser := entry.site.browser(), "7002")
    assert (response.status_code, browser.get("/api/v1/me").status_code) == ((303, 200) if allowed else (403, 401))
    if not allowed:
        refused(response, "N156", reason)
        assert reason in entries(entry.site)[-1].detail["reason"]


def test_an_account_without_a_required_group_is_refused(
    project: MemoryProject, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch,  # noqa: F811
) -> None:  # fmt: skip
    """With `required`, an account in none of the mapped groups is refused, and no user is created."""
    monkeypatch.setenv("SSL_CERT_FILE", str(provider.folder / "ca.pem"))
    entry = Entry(site_with(project, provider.settings(**FILE, groups={**GROUP_RULES, "required": True})), provider)
    add_group(entry.site.root, "operators", ())
    refused(entry.signs_in(entry.site.browser(), "7002"), "N156", "operators")
    assert entry.site.app.register.reading(lambda records: records.get(USERS, "bob")) is None
    assert entry.signs_in(entry.site.browser(), "7001").status_code == 303


def test_a_sign_in_that_is_cancelled_has_a_page(entry: Entry) -> None:
    """A user who cancels at the provider gets a page that says so, and no session."""
    browser = entry.site.browser()
    away = begun(browser)
    response = browser.get(local(entry.provider.browser().cancels(away.headers["location"])), **HTML)
    refused(response, "N152", "access_denied")
    assert (response.status_code, browser.get("/api/v1/me").status_code) == (403, 401)


def test_keys_of_the_provider_are_rotated(entry: Entry) -> None:
    """A provider that signs with another key is accepted at once, without a restart of the server."""
    assert entry.signs_in(entry.site.browser()).status_code == 303
    entry.provider.stop()
    entry.provider.keys = [key("second")]
    entry.provider.start()
    assert entry.signs_in(entry.site.browser()).status_code == 303


def test_a_provider_that_is_down_has_a_page(entry: Entry) -> None:
    """Without its provider the server says so with 503, keeps its sign-in page, and passwords still work."""
    browser = entry.site.browser()
    away = begun(browser)
    back = local(entry.provider.browser().signs_in(away.headers["location"]))
    entry.provider.stop()
    try:
        for path in ("/sign-in/company", back):
            response = browser.get(path, **HTML)
            refused(response, "N151", "refused", entry.provider.issuer)
            assert response.status_code == 503
        assert browser.get("/sign-in", **HTML).status_code == 200
        assert browser.send("/sign-in", name="root", password="correct horse battery").status_code == 303
    finally:
        entry.provider.start()


def test_a_user_signs_out_here_and_at_the_provider(entry: Entry) -> None:
    """A sign-out ends the session, and a link leads to the provider, which leads back; both work without a script."""
    browser, there = entry.site.browser(), entry.provider.browser()
    browser.get(local(there.signs_in(begun(browser).headers["location"])), **HTML)
    done = browser.form("/sign-out")
    assert (done.status_code, done.headers["location"]) == (303, "/sign-in?ended=company")
    page = browser.get("/sign-in?ended=company", **HTML).text
    assert 'href="/sign-in/company/sign-out"' in page
    away = browser.get("/sign-in/company/sign-out", **HTML)
    assert away.headers["location"].startswith(f"{entry.provider.issuer}/session/end?")
    assert there.signs_out(away.headers["location"]) == f"{ORIGIN}/sign-in"
    assert browser.get("/api/v1/me").status_code == 401


# -- attacks on the way back -------------------------------------------------------------------------------------------


def test_an_answer_is_used_once_and_in_its_browser(entry: Entry) -> None:
    """A replayed answer, the answer of another browser, one without a cookie or with another state is refused."""
    browser = entry.site.browser()
    back = local(entry.provider.browser().signs_in(begun(browser).headers["location"]))
    cookies = dict(browser.cookies)
    stranger = entry.site.browser()
    refused(stranger.get(back, **HTML), "N153")  # login CSRF: the victim's browser has no attempt
    begun(stranger)
    refused(stranger.get(back, **HTML), "N153")
    query = dict(parse_qsl(urlsplit(back).query))
    for changed in ({"state": "x"}, {"state": ""}, {"state": query["state"][:-1]}):
        refused(browser.get(f"{urlsplit(back).path}?{urlencode({**query, **changed})}", **HTML), "N153")
    refused(browser.get(f"{back}&state=x", **HTML), "N153")
    assert browser.get(back, **HTML).status_code == 303
    for name, value in cookies.items():
        browser.cookies.set(name, value, domain="127.0.0.1", path="/")
    refused(browser.get(back, **HTML), "N153")


def test_a_stolen_code_is_of_no_use(entry: Entry) -> None:
    """A code of one attempt in the answer of another is refused by the provider, because its verifier is another (PKCE)."""
    victim, attacker = entry.site.browser(), entry.site.browser()
    stolen = dict(parse_qsl(urlsplit(entry.provider.browser().signs_in(begun(victim).headers["location"])).query))
    own = dict(
        parse_qsl(urlsplit(entry.provider.browser().signs_in(begun(attacker).headers["location"], "7002")).query)
    )
    answer = urlencode({**own, "code": stolen["code"]})
    refused(attacker.get(f"/sign-in/company/callback?{answer}", **HTML), "N154", "invalid_grant")
    assert "does not accept the code" in entries(entry.site)[-1].detail["reason"]
    assert attacker.get("/api/v1/me").status_code == 401


def test_a_session_from_before_is_not_continued(entry: Entry) -> None:
    """A sign-in makes a new session value, so that one that an attacker has planted is worth nothing, and ends the old one."""
    browser = entry.site.user("mallory", "viewer")
    planted = browser.cookies.get("orchestrator")
    assert entry.signs_in(browser).status_code == 303
    assert browser.cookies.get("orchestrator") != planted
    assert browser.get("/api/v1/me").json()["actor"]["name"] == "ann"
    assert not entry.site.app.sign_ins.sessions_of("mallory")


@pytest.mark.parametrize("place", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"])
def test_a_sign_in_leads_to_this_server_only(entry: Entry, place: str) -> None:
    """The page after a sign-in is a path of this server, whatever the link says."""
    done = entry.signs_in(entry.site.browser(), next_path=place)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert "evil" not in entry.site.browser().get(f"/sign-in/nowhere?{urlencode({'next': place})}", **HTML).text


def test_an_unknown_provider_has_a_page(entry: Entry) -> None:
    """Addresses of a provider that is not configured are unknown, and without providers there is no button."""
    for path in ("/sign-in/other", "/sign-in/other/callback", "/sign-in/other/sign-out"):
        assert entry.site.browser().get(path, **HTML).status_code == 404
    assert entry.site.browser().request("POST", "/sign-in/other/back-channel", data={}).status_code == 404


# -- a provider that we write the answers of ----------------------------------------------------------------------------


@dataclass
class Forge:
    """A server whose provider answers what a test says: real keys, published over HTTPS."""

    site: Site
    issuer: Issuer

    def publish(self, **more: Any) -> None:
        """Publish the discovery document of a provider."""
        url = self.issuer.url
        self.issuer.publish(**{"authorization_endpoint": f"{url}/auth", "token_endpoint": f"{url}/token", **more})

    def answer(
        self, token: str | None = None, *, more: dict[str, str] | None = None, other: dict[str, Any] | None = None,
        browser: Browser | None = None, **claims: Any,
    ) -> httpx2.Response:  # fmt: skip
        """What the browser gets when the token endpoint gives *token*, or one of the issuer with these *claims*."""
        browser = browser or self.site.browser()
        asked = dict(parse_qsl(urlsplit(begun(browser, "forge").headers["location"]).query))
        usual = {"aud": CLIENT, "sub": "7001", "nonce": asked["nonce"], "preferred_username": "ann"}
        text = token or self.issuer.token(**{**usual, **claims})
        document = {"access_token": "at", "token_type": "Bearer", "id_token": text, **(other or {})}
        self.issuer.server.answers["/token"] = (200, json.dumps(document))
        answer = {"code": "any", "state": asked["state"], **(more or {})}
        return browser.get(f"/sign-in/forge/callback?{urlencode(answer)}", **HTML)

    def reason(self) -> str:
        return str(entries(self.site)[-1].detail["reason"])


@pytest.fixture
def forge(project: MemoryProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:  # noqa: F811
    with issuing(tmp_path, monkeypatch) as issuer:
        about = {"name": "forge", "title": "Forge", "issuer": issuer.url, "client_id": CLIENT}
        made = Forge(site_with(project, {**about, **FILE}), issuer)
        made.publish()
        yield made


def signed_otherwise(issuer: Issuer, header: dict[str, Any], secret: bytes | None, **claims: Any) -> str:
    """A token with another header: without a signature, or with one by a shared secret."""
    body = jwt.decode(issuer.token(**claims), options={"verify_signature": False})
    signed = ".".join(unpadded(json.dumps(part).encode()) for part in (header, body))
    return f"{signed}.{'' if secret is None else unpadded(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_a_token_of_the_forge_is_accepted(forge: Forge) -> None:
    """The answers of the following tests differ from this one in one place each."""
    half = unpadded(hashlib.sha256(b"at").digest()[:16])
    for claims in ({}, {"at_hash": half}, {"aud": [CLIENT, "other"], "azp": CLIENT}):
        assert forge.answer(**claims).status_code == 303, forge.reason()
    form = dict(parse_qsl(forge.issuer.server.forms[-1]))
    assert (form["grant_type"], len(form["code_verifier"]), "client_secret" in form) == (
        "authorization_code",
        43,
        False,
    )


def test_each_fault_of_an_id_token_is_refused(forge: Forge) -> None:
    """Wrong audience, issuer, nonce, subject, `azp` or `at_hash`, no nonce or end: refused alike, with its reason for operators."""
    faults: tuple[tuple[dict[str, Any], str], ...] = (
        ({"aud": "bank"}, "it is for another client"),
        ({"aud": [CLIENT, "bank"]}, "it was issued to another client"),
        ({"azp": "bank"}, "it was issued to another client"),
        ({"iss": "https://elsewhere.example"}, "not of the issuer"),
        ({"nonce": "x"}, "the nonce is not that of the attempt"),
        ({"nonce": None}, "the nonce is not that of the attempt"),
        ({"nonce": 5}, "the nonce is not that of the attempt"),
        ({"sub": None}, "it has no subject"),
        ({"sub": ""}, "it has no subject"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"aud": 5}, "aud"),
        ({"at_hash": "x"}, "at_hash"),
    )  # fmt: skip
    for claims, reason in faults:
        response = forge.answer(**claims)
        refused(response, "N154", reason)
        assert (response.status_code, reason in forge.reason()) == (403, True), (claims, forge.reason())


def test_an_id_token_of_another_time_says_that_clocks_differ(forge: Forge) -> None:
    """A token that has expired or is of the future is refused with a page about clocks; 30 seconds are tolerated."""
    now = int(time.time())
    times: tuple[dict[str, Any], ...] = ({"exp": now - 5}, {"iat": now + 120}, {"nbf": now + 120})
    for claims in times:
        refused(forge.answer(**claims), "N155", str(now))
    assert forge.answer(iat=now + 15).status_code == 303


def test_a_token_that_the_provider_has_not_signed_is_refused(forge: Forge) -> None:
    """No signature, a shared secret, the public key as a secret, another key, a changed body: none is accepted."""
    other = Issuer(forge.issuer.server)
    other.make_key("first")
    about: dict[str, Any] = {"aud": CLIENT, "sub": "7001"}
    forged, good = other.token(**about), forge.issuer.token(**about)
    forge.publish()
    head, body, signature = good.split(".")
    changed = unpadded(base64.urlsafe_b64decode(body + "==").replace(b"7001", b"7002"))
    published = json.loads(forge.issuer.server.answers["/keys"][1])["keys"][0]
    pem = jwt.PyJWK(published).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    texts = (
        forged,
        f"{head}.{changed}.{signature}",
        signed_otherwise(forge.issuer, {"alg": "none", "kid": "first"}, None, **about),
        signed_otherwise(forge.issuer, {"alg": "None", "kid": "first"}, None, **about),
        signed_otherwise(forge.issuer, {"alg": "HS256", "kid": "first"}, pem, **about),
        signed_otherwise(forge.issuer, {"alg": "HS256", "kid": "first"}, SECRET.encode(), **about),
        signed_otherwise(forge.issuer, {"alg": "ES256", "kid": "first"}, pem, **about),
        "no token",
        "..",
    )
    for text in texts:
        response = forge.answer(text)
        refused(response, "N154", "signature", "HS256")
        assert response.status_code == 403
    assert forge.site.app.register.reading(lambda records: records.get(USERS, "ann")) is None


def test_a_provider_names_itself_in_its_answers(forge: Forge) -> None:
    """An answer that names another provider is refused, and so is one without a name from a provider that gives it (RFC 9207)."""
    refused(forge.answer(more={"iss": "https://elsewhere.example"}), "N154", "elsewhere")
    forge.publish(authorization_response_iss_parameter_supported=True)
    refused(forge.answer(), "N154")
    assert forge.answer(more={"iss": forge.issuer.url}).status_code == 303


def test_two_providers_are_not_mixed_up(
    project: MemoryProject, provider: IdentityProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,  # noqa: F811
) -> None:  # fmt: skip
    """A code of an honest provider never reaches a dishonest one, and a token of one is not accepted from the other."""
    with issuing(tmp_path, monkeypatch) as issuer:
        bundle = tmp_path / "both.pem"
        bundle.write_text((tmp_path / "ca.pem").read_text() + (provider.folder / "ca.pem").read_text())
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        about = {"name": "forge", "title": "Forge", "issuer": issuer.url, "client_id": CLIENT}
        site = site_with(project, {**about, **FILE}, provider.settings(**FILE))
        forge, browser = Forge(site, issuer), site.browser()
        forge.publish()
        begun(browser, "forge")
        honest = site.browser()
        query = dict(parse_qsl(urlsplit(provider.browser().signs_in(begun(honest).headers["location"])).query))
        refused(honest.get(f"/sign-in/forge/callback?{urlencode(query)}", **HTML), "N153")
        # The dishonest one leads the browser to the honest one with the state of its own attempt.
        asked = dict(parse_qsl(urlsplit(begun(browser, "forge").headers["location"]).query))
        mixed = {**query, "state": asked["state"]}
        refused(browser.get(f"/sign-in/forge/callback?{urlencode(mixed)}", **HTML), "N154")
        assert not issuer.server.forms
        # A token of the dishonest one for the subject of an account of the honest one is another account.
        assert Entry(site, provider).signs_in(site.browser()).status_code == 303
        refused(forge.answer(sub="7001"), "N156")


def test_answers_of_a_faulty_provider_have_pages(forge: Forge) -> None:
    """An error, a wrong status, no JSON, no token and a redirect of the token endpoint are pages, and never a failure of ours."""
    answers: tuple[tuple[tuple[int, str], str], ...] = (
        ((400, '{"error": "invalid_grant"}'), "N154"),
        ((500, "{}"), "N151"),
        ((200, "no JSON"), "N151"),
        ((200, "[]"), "N151"),
        ((200, "{}"), "N154"),
        ((302, "https://elsewhere.example"), "N151"),
    )
    for answer, code in answers:
        browser = forge.site.browser()
        asked = dict(parse_qsl(urlsplit(begun(browser, "forge").headers["location"]).query))
        forge.issuer.server.answers["/token"] = answer
        refused(browser.get(f"/sign-in/forge/callback?code=x&state={asked['state']}", **HTML), code, "elsewhere")
    for error, code in (("server_error", "N151"), ("login_required", "N152"), ("<script>", "N152")):
        refused(forge.answer(more={"error": error}), code, error)
    forge.publish(token_endpoint="http://127.0.0.1/token")
    refused(forge.site.browser().get("/sign-in/forge", **HTML), "N151")


# -- logout tokens -------------------------------------------------------------------------------------------------------


def logout(forge: Forge, token: str) -> httpx2.Response:
    return forge.site.browser().request("POST", "/sign-in/forge/back-channel", data={"logout_token": token})


def logout_token(forge: Forge, **claims: Any) -> str:
    now = int(time.time())
    usual = {
        "aud": CLIENT,
        "sub": "7001",
        "events": {LOGOUT_EVENT: {}},
        "exp": now + 120,
        "jti": str(time.perf_counter()),
    }
    return forge.issuer.token(**{**usual, **claims})


def test_a_logout_token_ends_sessions(forge: Forge) -> None:
    """One with a session ends that one, one with a subject all of the account; other users and passwords stay. A replay is refused."""
    first, second, other = forge.site.browser(), forge.site.browser(), forge.site.browser()
    forge.answer(browser=first, sid="s1")
    forge.answer(browser=second, sid="s2")
    forge.answer(browser=other, sid="s3", sub="7002", preferred_username="bob")

    def signed_in() -> list[int]:
        return [each.get("/api/v1/me").status_code for each in (first, second, other)]

    token = logout_token(forge, sid="s1")
    done = logout(forge, token)
    assert (done.status_code, done.headers["cache-control"], signed_in()) == (200, "no-store", [401, 200, 200])
    forge.answer(browser=first, sid="s1")
    assert (logout(forge, token).status_code, signed_in()) == (400, [200, 200, 200])
    assert logout(forge, logout_token(forge, sid="s3")).status_code == 200
    assert signed_in() == [200, 200, 200], "the session is not of this subject"
    assert (logout(forge, logout_token(forge, sub=None, sid="s3")).status_code, signed_in()) == (200, [200, 200, 401])
    assert (logout(forge, logout_token(forge)).status_code, signed_in()) == (200, [401, 401, 401])
    end = entries(forge.site)[-1]
    assert (end.action, end.actor, end.detail) == ("session:end", "system", {"provider": "forge", "user": "ann"})


def test_a_wrong_logout_token_ends_nothing(forge: Forge) -> None:
    """An ID token, no event, a nonce, no identifier, another client, time or key: refused with 400, and no reason for the sender."""
    browser, now = forge.site.browser(), int(time.time())
    forge.answer(browser=browser, sid="s1")
    other = Issuer(forge.issuer.server)
    other.make_key("first")
    forged = other.token(aud=CLIENT, sub="7001", events={LOGOUT_EVENT: {}}, jti="x")
    forge.publish()
    faults = (
        forge.issuer.token(aud=CLIENT, sub="7001", nonce="x"),
        logout_token(forge, events={}),
        logout_token(forge, events=[LOGOUT_EVENT]),
        logout_token(forge, events={LOGOUT_EVENT: None}),
        logout_token(forge, nonce="x"),
        logout_token(forge, jti=None),
        logout_token(forge, sub=None),
        logout_token(forge, aud="bank"),
        logout_token(forge, iss="https://elsewhere.example"),
        logout_token(forge, exp=now - 5),
        logout_token(forge, iat=now + 600),
        logout_token(forge, exp=now + 86400),
        signed_otherwise(forge.issuer, {"alg": "none"}, None, aud=CLIENT, sub="7001"),
        forged,
        "",
        "x" * 60_000,
    )
    for token in faults:
        answer = logout(forge, token)
        assert (answer.status_code, answer.json()["code"]) == (400, "N158")
        assert answer.json()["detail"] == "the logout token is not accepted"
    assert browser.get("/api/v1/me").status_code == 200


def test_many_sign_ins_of_an_address_do_not_reach_the_provider(forge: Forge) -> None:
    """After 30 attempts in a moment an address gets 429, so that it cannot use this server against the provider."""
    browser = forge.site.browser()
    found = [browser.get("/sign-in/forge").status_code for _ in range(32)]
    assert (found[:29], found[-1]) == ([303] * 29, 429)  # the first administrator has used one
