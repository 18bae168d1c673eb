"""The documentation on the website: every page is there, every link leads to a heading, and words find sections."""

import re
from collections import Counter

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.urls import Resolver404, resolve

from hub.site import documentation
from hub.site.documentation import FOLDER, GROUPS, names, page
from tests.test_docs import refusals

ROOT = FOLDER.parent


def anchors(name: str) -> list[str]:
    return re.findall(r' id="([^"]+)"', page(name).html)


def leads_nowhere(href: str, at: str) -> bool:
    """Return whether a link of a page of docs/ leads to no page, heading or route of this hub."""
    path, _, anchor = href.partition("#")
    if "://" in href:
        return False
    if path.startswith("/"):
        try:
            return not resolve(path)
        except Resolver404:
            return True
    name = path.removesuffix(".md") or at
    return name not in names() or (bool(anchor) and anchor not in anchors(name))


def test_every_link_and_anchor_of_the_pages_leads_somewhere() -> None:
    hrefs = {(name, href) for name in names() for href in re.findall(r'href="([^"]+)"', page(name).html)}
    assert len(hrefs) > 150
    assert {(name, href) for name, href in hrefs if leads_nowhere(href, name)} == set()
    assert {(name, id) for name in names() for id, times in Counter(anchors(name)).items() if times > 1} == set()


def test_every_picture_is_a_static_file_and_has_its_size(visit) -> None:
    pages = [visit().get(f"/docs/{name}").content.decode() for name in ("start", "versions")]
    pictures = [tag for html in pages for tag in re.findall(r"<img [^>]+docs/img[^>]+>", html)]
    assert len(pictures) == sum(page(name).html.count("<img ") for name in names())
    for tag in pictures:
        source = re.search(r'src="/static/([^"]+)" width="[1-9]\d+" height="[1-9]\d+" alt="[^"]+"', tag)
        assert source, tag
        assert finders.find(source[1])


def test_every_link_into_the_pages_from_outside_names_a_heading() -> None:
    """The links of READMEs and the changelog, and those of the site's templates."""
    texts = [*ROOT.glob("*.md"), ROOT / "client/README.md"]
    in_texts = {link for file in texts for link in re.findall(r"docs/([\w-]+)\.md#([\w-]+)\)", file.read_text())}
    tag = r"{% url 'docs-page' '([\w-]+)' %}#([\w-]+)\""
    pages = [*ROOT.glob("templates/**/*.html"), *ROOT.glob("features/*/templates/**/*.html")]
    in_pages = {link for file in pages for link in re.findall(tag, file.read_text())}
    assert in_texts
    assert {(name, anchor) for name, anchor in in_texts | in_pages if anchor not in anchors(name)} == set()


def test_the_order_of_the_pages_is_declared() -> None:
    declared = [name for members in GROUPS.values() for name in members.split()]
    assert sorted(declared) == sorted(file.stem for file in FOLDER.glob("*.md"))
    assert [name for name in names() if name in declared] == declared


def test_every_page_is_there_and_leads_to_the_one_before(visit, cast):
    visitor, index = visit(), visit().get("/docs").content.decode()
    assert visitor.get("/docs/start.md").status_code == 200
    for before, name in zip((None, *names()), names(), strict=False):
        text = visitor.get(f"/docs/{name}").content.decode()
        assert text.count("<h1") == 1
        assert f'href="/docs/{name}"' in index
        assert not before or re.search(rf'<a rel="prev"\s+href="/docs/{before}">', text)
    for name in ("nothing", "..", "%2e%2e%2fREADME"):
        assert visitor.get(f"/docs/{name}").status_code == 404


def test_the_link_of_every_refusal_leads_to_its_heading(visit, cast):
    problem = visit().get("/api/v1/adapters/alice/nothing").json()
    path, _, anchor = problem["type"].removeprefix(settings.PUBLIC_URL).partition("#")
    found = visit().get(path)
    assert found.status_code == 200
    assert anchor == "adapter-not-found"
    assert {refusal.code for refusal in refusals()} <= set(re.findall(r'id="([^"]+)"', found.content.decode()))


def test_a_page_for_a_start_names_this_hub_its_reader_and_the_files_of_its_blocks(visit):
    text = visit().get("/docs/start-trainer").content.decode()
    assert "<figcaption>train.py</figcaption>" in text
    assert "<figcaption>run</figcaption>" not in text
    assert "alice/film-reviews" in text
    assert 'href="/login?next=/docs/start-trainer"' in text
    text = visit("bob").get("/docs/start-trainer").content.decode()
    assert "bob/film-reviews" in text
    assert "alice/" not in text
    assert 'href="/settings/tokens">Make a token</a>' in text
    first = visit().get("/docs/start").content.decode()
    assert "hub.example.org" not in first
    assert f"HF_ENDPOINT={settings.PUBLIC_URL}" in re.sub("<[^>]+>", "", first)
    assert "alice/" in visit("bob").get("/docs/rest").content.decode(), "elsewhere it is an example"


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("token-invalid", "errors#token-invalid"),
        ("dovetail_blobs", "settings#dovetail_blobs"),
        ("base.LOCAL-path", "checks#base-local-path"),
    ],
)
def test_words_find_the_section_that_is_about_them(query, first):
    assert documentation.search_docs(query).hits[0].section.address == first


def test_the_search_leads_to_headings_and_has_an_end(visit):
    page = visit().get("/docs", {"q": "dovetail verdict --wait"}).content.decode()
    assert re.search(r'<a data-item\s+href="/docs/[\w-]+#[\w-]+">', page)
    assert "<mark>--wait</mark>" in page
    many = documentation.search_docs("a")
    assert len(many.hits) == documentation.MOST_FOUND < many.total
    for query in ("<script>alert(1)</script>", "((((", "\0", "xqzz " * 900):
        answer = visit().get("/docs", {"q": query})
        assert answer.status_code == 200
        assert b"<script>alert" not in answer.content
        assert b"No section has all words" in answer.content
    assert documentation.page("start").sections[0].address == "start"
