"""`sign_in:` in `orchestrator.yaml`: the OpenID Connect providers with which users sign in at a server."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from orchestrator.domain.access.principals import PrincipalName
from orchestrator.domain.model import Model, Name, text_schema

ISSUER = re.compile(r"^https://[^\s#?]{1,500}$")


def _issuer(text: str) -> str:
    if not ISSUER.fullmatch(text):
        raise ValueError("must be an issuer that starts with https://")
    return text


Issuer = Annotated[str, AfterValidator(_issuer), WithJsonSchema(text_schema(ISSUER.pattern))]
"""The address of an OpenID Connect provider, exactly as its discovery document has it."""
Claim = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""The name of a claim of an ID token, or one value of it."""
FirstSignIn = Literal["create", "link", "create-or-link", "refuse"]


class SecretPlace(Model):
    """Where a secret is read: from an environment *variable* or from a *file*. It is never part of a file of ours."""

    variable: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    file: Annotated[str, StringConstraints(min_length=1)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.variable is None) is (self.file is None):
            raise ValueError("must have either a variable or a file")
        return self


class ProviderGroups(Model):
    """How a *claim* of an account becomes groups: *map* has the group of this project for each value of the claim.

    The members of these groups follow the claim at each sign-in. With *required* an account in none of them is refused.
    """

    claim: Claim = "groups"
    map: Annotated[dict[Claim, PrincipalName], Field(min_length=1)]
    required: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The groups of this project whose members follow the provider."""
        return frozenset(self.map.values())

    def given(self, claims: Mapping[str, object]) -> frozenset[str]:
        """The groups of this project that *claims* give an account."""
        found = claims.get(self.claim, ())
        values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        return frozenset(self.map[value] for value in values if isinstance(value, str) and value in self.map)


class SignInProvider(Model):
    """One OpenID Connect provider. *name* is part of the addresses for it, *title* is the text of its button.

    *user_name* is the claim that names a new user. *first_sign_in* is what happens to an account that has not signed in
    yet. `create` makes a user, and `link` takes the existing user of its name. `create-or-link` does either, `refuse`
    neither.
    """

    name: Name
    title: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    issuer: Issuer
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    client_secret: SecretPlace | None = None
    scopes: tuple[Annotated[str, StringConstraints(pattern=r"^[!#-\[\]-~]+$")], ...] = ("openid", "profile", "email")
    user_name: Claim = "preferred_username"
    first_sign_in: FirstSignIn = "create"
    groups: ProviderGroups | None = None

    @model_validator(mode="after")
    def _has_openid(self) -> Self:
        if "openid" not in self.scopes:
            raise ValueError("must have the scope openid")
        return self


class SignInRules(Model):
    """`sign_in:` in `orchestrator.yaml`: the *providers* with which users sign in at a server, beside passwords."""

    providers: tuple[SignInProvider, ...] = ()

    def provider(self, name: str) -> SignInProvider | None:
        """The provider called *name*."""
        return next((each for each in self.providers if each.name == name), None)


def provider_faults(providers: Any) -> Iterator[tuple[int, str, str]]:
    """The index, the key and the value of each of *providers* (data of a file) that repeats an earlier one."""
    seen: set[tuple[str, str]] = set()
    for index, each in enumerate(providers if isinstance(providers, list) else ()):
        for key in ("name", "issuer"):
            value = each.get(key) if isinstance(each, dict) else None
            if isinstance(value, str):
                if (key, value) in seen:
                    yield index, key, value
                seen.add((key, value))
