"""The documentation on the website: every refusal's link leads to its heading."""

import re

import pytest
from django.conf import settings

from hub.errors import TABLE
from hub.site import docs


def test_the_link_of_every_refusal_leads_to_its_heading(visit, cast):
    problem = visit().get("/api/v1/adapters/alice/nothing").json()
    path, _, anchor = problem["type"].removeprefix(settings.PUBLIC_URL).partition("#")
    page = visit().get(path)
    assert page.status_code == 200
    anchors = set(re.findall(r'id="([^"]+)"', page.content.decode()))
    assert anchor == "adapter-not-found"
    assert {refusal.code for refusal in TABLE} <= anchors


@pytest.mark.parametrize("name", docs.names())
def test_every_page_is_there_by_both_of_its_names(visit, cast, name):
    page = visit().get(f"/docs/{name}")
    assert page.status_code == visit().get(f"/docs/{name}.md").status_code == 200
    assert page.content.decode().count("<h1") == 1
    assert f"/docs/{name}" in visit().get("/docs").content.decode()


@pytest.mark.parametrize("name", ["nothing", "..", "%2e%2e%2fREADME"])
def test_no_other_page_is_there(visit, cast, name):
    assert visit().get(f"/docs/{name}").status_code == 404


def test_a_page_names_this_hub_and_the_files_of_its_blocks(visit):
    text = visit().get("/docs/start-trainer").content.decode()
    assert "<p><code>train.py</code></p>" in text
    assert "<code>run</code>" not in text
    first = visit().get("/docs/start").content.decode()
    assert "hub.example.org" not in first
    assert f"export HF_ENDPOINT={settings.PUBLIC_URL}" in first
