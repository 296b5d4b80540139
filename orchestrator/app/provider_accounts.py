"""The users of accounts at OpenID Connect providers: who an account is, and the groups that follow its claims."""

from collections.abc import Mapping

from orchestrator.app.acting import Acting, Change, View, change, read_register, unknown
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.directory import Directory
from orchestrator.domain.access.principals import PRINCIPAL, User
from orchestrator.domain.access.provider_sign_in import Account, account_key, text_claim, user_name_of
from orchestrator.domain.access.providers import SignInProvider
from orchestrator.domain.error_codes import ACCOUNT_NOT_ALLOWED, GROUP_NOT_KNOWN
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import ACCOUNTS, GROUPS, SERVICE_ACCOUNTS, USERS

MESSAGES = {
    "N151": "the provider cannot be used at the moment",
    "N152": "the sign-in was cancelled or denied at the provider",
    "N153": "the sign-in was started in another browser, has been completed, or took more than 10 minutes",
    "N154": "the answer of the provider is not accepted",
    "N155": "the clocks of the provider and of this server differ",
    "N156": "this account may not sign in here",
    "N157": "a group of this account is not set up in this project",
    "N158": "the logout token is not accepted",
}
"""What users read. The reason is for the audit stream and the log: it may reveal who has an account."""


class ProviderRefusal(OrchestratorError):
    """A sign-in or sign-out with a provider that is refused. *why* is the reason, which only operators read."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(code, MESSAGES[code])
        self.why = why


def user_of_account(task: Change, provider: SignInProvider, claims: Mapping[str, object]) -> str:
    """The user to whom the account with *claims* at *provider* belongs; its groups follow the claims.

    An account is recognized by its issuer and subject, whatever it is called. Raises `ProviderRefusal`.
    """
    groups = provider.groups
    given = groups.given(claims) if groups is not None else frozenset()
    if groups is not None and groups.required and not given:
        raise ProviderRefusal(ACCOUNT_NOT_ALLOWED, f"the claim {groups.claim} has none of the required groups")
    known = task.records.get(ACCOUNTS, account_key(provider.issuer, str(claims["sub"])))
    user = known.user if known is not None else _first_sign_in(task, provider, claims)
    if not Directory(task.access).is_active_user(user) and known is not None:
        raise ProviderRefusal(ACCOUNT_NOT_ALLOWED, f"the user {user} is disabled")
    if groups is not None:
        _follow(task, user, groups.names, given)
    return user


@forwarded
def list_accounts(acting: Acting, user: str) -> tuple[Account, ...]:
    """The accounts of *user*, by their issuers. Raises A110."""

    def work(view: View) -> tuple[Account, ...]:
        view.existing(USERS, user)
        found = view.records.all(ACCOUNTS, user)
        return tuple(sorted(found, key=lambda account: (account.issuer, account.subject)))

    return read_register(acting, Action.VIEW, work)


@forwarded
def unlink_account(acting: Acting, user: str, issuer: str | None = None, *, reason: str = "") -> Account:
    """Remove the account of *user* at *issuer* (None: the only one), whose sessions end with it. Raises A110 and A113.

    The account can sign in again as `first_sign_in` allows it. Passwords and groups of the user do not change.
    """

    def work(task: Change) -> Account:
        task.existing(USERS, user)
        mine = task.records.all(ACCOUNTS, user)
        found = [account for account in mine if issuer in {None, account.issuer}]
        if not found:
            raise unknown("account of", user if issuer is None else issuer, sorted({each.issuer for each in mine}))
        if len(found) > 1:
            raise OrchestratorError(
                "A113", f"{user} has several accounts: {', '.join(sorted(e.issuer for e in found))}"
            )
        task.remove(ACCOUNTS, found[0], event="unlink", user=user, issuer=found[0].issuer)
        return found[0]

    return change(acting, Action.MANAGE_PEOPLE, work, reason=reason)


def _first_sign_in(task: Change, provider: SignInProvider, claims: Mapping[str, object]) -> str:
    """The user for an account that has not signed in before, which is recorded with it."""
    if provider.first_sign_in == "refuse":
        raise ProviderRefusal(ACCOUNT_NOT_ALLOWED, "the account has not signed in before (first_sign_in: refuse)")
    name = user_name_of(claims, provider.user_name)
    if not PRINCIPAL.fullmatch(f"user:{name}"):
        raise ProviderRefusal(ACCOUNT_NOT_ALLOWED, f"the claim {provider.user_name} is not the name of a user")
    existing = task.records.get(USERS, name)
    if existing is not None:
        _check_link(task, provider, existing, whole=claims.get(provider.user_name) == name)
    elif task.records.get(SERVICE_ACCOUNTS, name) is not None:
        raise ProviderRefusal(ACCOUNT_NOT_ALLOWED, f"{name} is the name of a service account")
    elif provider.first_sign_in == "link":
        raise ProviderRefusal(ACCOUNT_NOT_ALLOWED, f"the user {name} does not exist (first_sign_in: link)")
    else:
        shown, email = text_claim(claims, "name"), text_claim(claims, "email")
        task.put(USERS, User(name=name, display_name=shown, email=email), provider=provider.name)
    subject = str(claims["sub"])
    account = Account(
        issuer=provider.issuer,
        subject=subject,
        user=name,
        name=text_claim(claims, provider.user_name),
        linked_at=task.now.earliest,
    )
    task.put(ACCOUNTS, account, provider=provider.name, user=name)
    return name


def _check_link(task: Change, provider: SignInProvider, user: User, *, whole: bool) -> None:
    """Return if the existing *user* may get the account. *whole*: the claim is the name, and not a part of it."""
    if provider.first_sign_in == "create":
        raise ProviderRefusal(ACCOUNT_NOT_ALLOWED, f"the user {user.name} exists already (first_sign_in: create)")
    if not user.is_active:
        raise ProviderRefusal(ACCOUNT_NOT_ALLOWED, f"the user {user.name} is disabled")
    if not whole:
        raise ProviderRefusal(ACCOUNT_NOT_ALLOWED, f"only a part of the claim is the name of the user {user.name}")
    if task.records.all(ACCOUNTS, user.name):
        raise ProviderRefusal(ACCOUNT_NOT_ALLOWED, f"the user {user.name} has another account")


def _follow(task: Change, user: str, managed: frozenset[str], given: frozenset[str]) -> None:
    """Make *user* a member of the *given* groups, and of no other of the *managed* ones."""
    for name in sorted(managed):
        group = task.records.get(GROUPS, name)
        if group is None:
            if name in given:
                raise ProviderRefusal(GROUP_NOT_KNOWN, f"the configured group {name} does not exist")
            continue
        members = {*group.members, user} if name in given else {*group.members} - {user}
        if members != set(group.members):
            task.put(GROUPS, group.model_copy(update={"members": tuple(sorted(members))}), user=user)
