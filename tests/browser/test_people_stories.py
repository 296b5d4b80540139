"""Users, roles and tokens in a real browser without JavaScript: an administrator needs no command for a new user."""

from playwright.sync_api import expect

from tests.browser.conftest import Served, picture


def test_an_administrator_adds_a_user_who_gets_a_role(served: Served) -> None:
    """A user is added, gets a link and a role, and the check of the right says so; a token is shown once on the account."""
    page = served.page("root", java_script_enabled=False)
    page.get_by_role("navigation", name="Records").get_by_role("link", name="Users and roles").click()
    page.get_by_label("Name: lower-case letters").fill("dora")
    page.get_by_role("button", name="Add the user").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("dora")
    page.get_by_role("button", name="Make a one-time link").click()
    expect(page.locator("#value")).to_contain_text(f"{served.address}/link/")
    page.get_by_role("link", name="Done").click()
    page.goto(f"{served.address}/roles")
    page.get_by_label("Role", exact=True).select_option("operator")
    page.get_by_label("To", exact=True).select_option("user:dora")
    page.get_by_label("Environments that match").fill("stag*")
    page.get_by_label("Reason (optional)").last.fill("on call")
    page.get_by_role("button", name="Grant the role").click()
    expect(page.locator("tr", has_text="on call")).to_contain_text("user:dora")
    page.get_by_role("navigation", name="Users and rights").get_by_role("link", name="Check a right").click()
    page.get_by_label("User or service account").select_option("dora")
    page.get_by_label("Action", exact=True).select_option("rollback")
    page.get_by_label("Environment", exact=True).select_option("staging")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#main .badge").first).to_have_text("allowed")
    picture(page, "can-i")
    page.goto(f"{served.address}/me")
    page.get_by_text("Create a token").click()
    page.get_by_label("What it is for").fill("reports")
    page.get_by_role("button", name="Create the token").click()
    secret = page.locator("#value").inner_text()
    page.get_by_role("link", name="Done").click()
    expect(page.locator("tr", has_text="reports")).to_be_visible()
    assert secret not in page.content()
    assert served.problems == []
