"""The whole loop as a newcomer lives it: join, make a token, push with the stock client, watch the verdict."""

from playwright.sync_api import expect

from tests.clients import Client

SECRET = "seven dovetail teeth"


def test_a_newcomer_joins_pushes_and_sees_his_adapter_proven(working_hub, visitor, reviews, tmp_path):
    newcomer = visitor(working_hub.url)
    page = newcomer.go("/")
    page.get_by_role("banner").get_by_role("link", name="Join").click()
    page.get_by_label("User name").fill("frida")
    page.get_by_label("E-mail").fill("frida@example.org")
    page.get_by_label("Password", exact=True).fill(SECRET)
    page.get_by_label("Repeat the password").fill(SECRET)
    page.get_by_role("main").get_by_role("button", name="Join").click()

    expect(page.get_by_text("Welcome, frida")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("laptop")
    page.get_by_role("button", name="Create token").click()
    token = page.locator("[data-token]").inner_text()
    assert token.startswith("dvt_")

    page.get_by_role("main").get_by_role("link", name="Create an adapter").click()
    page.get_by_text("Create an empty repository instead").click()
    page.get_by_label("Name", exact=True).fill("opinions")
    page.get_by_role("button", name="Create an empty one").click()
    expect(page).to_have_url(f"{working_hub.url}/frida/opinions")
    expect(page.get_by_text("Push the first version")).to_be_visible()
    page.evaluate("window.stillHere = true")

    Client("2.4.0", working_hub.url, token, tmp_path / "home").hf("upload", "frida/opinions", reviews)

    # Nobody reloads: the page follows the push and the verdict by itself.
    expect(page.locator("#proof .state")).to_contain_text("passed", timeout=180_000)
    assert page.evaluate("window.stillHere") is None
    expect(page.locator("article.card-body")).to_be_visible()
    expect(page.locator("#use")).to_contain_text("dovetail pull frida/opinions@verified")

    page.get_by_role("link", name="Evaluation").click()
    expect(page.get_by_role("heading", name="What was proven")).to_be_visible()
    expect(page.locator("table.proven tbody tr")).to_have_count(7)
    expect(page.locator("table.metrics tbody tr").first).to_contain_text("guess")

    page.get_by_role("banner").get_by_role("link", name="Adapters").click()
    expect(page.get_by_role("main").get_by_role("link", name="frida/opinions")).to_be_visible()
    page.locator("summary", has_text="frida").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("banner").get_by_role("link", name="Sign in")).to_be_visible()
