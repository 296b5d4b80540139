"""The commands of notifications: a rule is changed field by field, and a user lists what was sent to them."""

import pytest

from tests.cli.request_project import RequestProject, office

__all__ = ["office"]  # the fixture

URL, MAIL = "https://93.184.216.34/in", "smtps://93.184.216.34?from=a@example.com&to=vic@example.com"


def test_a_rule_is_changed_option_by_option(office: RequestProject) -> None:
    """`rule edit` changes what is given and keeps the rest with the secret; an empty value removes one."""
    rule = ("notifications", "rule")
    made = office.by("root", *rule, "add", "ops", "--webhook", URL, "--event", "run.*", "--quiet", "22:00-07:00")
    changed = office.by(
        "root", *rule, "edit", "ops", "--for", "vic", "--needed-only", "--digest", "daily", "-m", "quiet"
    )
    assert made["secret"].startswith("whsec_")
    assert (changed["secret"], changed["rule"]["events"], changed["rule"]["user"]) == ("", ["run.*"], "vic")
    assert (changed["rule"]["digest"], changed["rule"]["quiet"]["start"]) == ("daily", "22:00")
    again = office.by("root", *rule, "edit", "ops", "--for", "", "--requested-too", "--quiet", "")
    assert (again["rule"]["user"], again["rule"]["quiet"], again["rule"]["needed_only"]) == (None, None, False)
    with pytest.raises(AssertionError, match="no field is given"):
        office.by("root", *rule, "edit", "ops")
    with pytest.raises(AssertionError, match="there is no role approvers"):
        office.by("root", *rule, "edit", "ops", "--role", "approvers")


def test_users_list_what_their_rules_have_sent(office: RequestProject) -> None:
    """`list --mine` needs no right and has the notifications of the user's rules alone; `--rule` and `--state` choose."""
    office.by("vic", "notifications", "rule", "add", "mail", "--mail", MAIL, "--for", "vic")
    office.by("root", "notifications", "rule", "add", "ops", "--webhook", URL)
    office.by("vic", "notifications", "test", "mail")
    office.by("root", "notifications", "test", "ops")
    assert [each["rule"] for each in office.by("vic", "notifications", "list", "--mine")["notifications"]] == ["mail"]
    assert len(office.by("root", "notifications", "list")["notifications"]) == 2
    chosen = office.by("root", "notifications", "list", "--rule", "ops", "--state", "pending")["notifications"]
    assert [each["rule"] for each in chosen] == ["ops"]
    assert office.by("root", "notifications", "list", "--state", "dead")["notifications"] == []
