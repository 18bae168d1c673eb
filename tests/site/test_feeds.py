"""Atom feeds of searches and versions, and what a page tells of itself to programs."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from django.conf import settings

from registry.models import Repository
from tests.site.conftest import push_more

ATOM = "{http://www.w3.org/2005/Atom}"


def entries(answer):
    assert answer.status_code == 200, answer.content
    return ElementTree.fromstring(answer.content).findall(f"{ATOM}entry")


def texts(nodes, tag):
    return [node.findtext(f"{ATOM}{tag}") for node in nodes]


def test_a_search_is_a_feed_of_what_its_reader_may_see(visit, cast, reviews, secret):
    address = "/feeds/adapters.atom?q=reviews&verdict=passed"
    assert (
        f'href="{address.replace("&", "&amp;")}"' in visit().get("/adapters?q=reviews&verdict=passed").content.decode()
    )
    [entry] = entries(visit().get(address))
    assert entry.findtext(f"{ATOM}title") == "alice/reviews"
    assert entry.find(f"{ATOM}link").get("href") == f"{settings.PUBLIC_URL}/alice/reviews"
    assert entry.findtext(f"{ATOM}summary").startswith("passed.")
    assert texts(entries(visit().get("/feeds/adapters.atom")), "title") == ["alice/reviews"]
    assert set(texts(entries(visit("alice").get("/feeds/adapters.atom")), "title")) == {"alice/reviews", "acme/secret"}
    assert entries(visit().get("/feeds/adapters.atom?q=%01%0B%EF%BF%BF")) == []
    assert visit().get("/feeds/adapters.atom?sort=size").status_code == 400
    assert entries(visit().get("/feeds/adapters.atom?q=%01%EF%BF%BF")) == []


def test_the_versions_of_an_adapter_are_a_feed(visit, cast, reviews, secret):
    push_more(cast, reviews, **{"README.md": b"# New\n"})
    reviews.revisions.order_by("pk").update(title="Text that XML\x08 has no \x1bcharacters for")
    page = visit().get("/alice/reviews").content.decode()
    assert 'href="/alice/reviews/versions.atom"' in page
    found = entries(visit().get("/alice/reviews/versions.atom"))
    assert len(found) == reviews.revisions.count()
    assert texts(found, "summary")[1].startswith("passed.")
    reviews.revisions.update(title="a bell\a")  # as other hubs and old releases let it in
    assert texts(entries(visit().get("/alice/reviews/versions.atom")), "title")[0] == "a bell "
    assert visit().get("/acme/secret/versions.atom").status_code == 404
    assert entries(visit("alice").get("/acme/secret/versions.atom"))
    cast.repository("alice/empty")
    assert entries(visit().get("/alice/empty/versions.atom")) == []


def test_the_operator_says_where_to_report_a_vulnerability(visit, settings):
    assert visit().get("/.well-known/security.txt").status_code == 404
    settings.SECURITY_CONTACT = ["mailto:security@example.org", "https://example.org/report"]
    answer = visit().get("/.well-known/security.txt")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    told = [line.split(": ", 1) for line in answer.content.decode().splitlines()]
    assert [value for name, value in told if name == "Contact"] == settings.SECURITY_CONTACT
    expires = datetime.fromisoformat(dict(told)["Expires"])
    assert timedelta(days=150) < expires - datetime.now(UTC) < timedelta(days=365)
    assert dict(told)["Canonical"] == f"{settings.PUBLIC_URL}/.well-known/security.txt"


def test_a_page_tells_its_address_and_its_name(visit, reviews: Repository):
    page = visit().get("/alice/reviews?tab=x").content.decode()
    assert f'<link rel="canonical" href="{settings.PUBLIC_URL}/alice/reviews">' in page
    assert '<meta property="og:title" content="alice/reviews">' in page
    assert visit().get("/favicon.ico")["Location"].endswith("/img/favicon.svg")
