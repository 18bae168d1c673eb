"""One search finds adapters, bases, people and files, forgives typing errors, and tells nothing of what is hidden."""

import hashlib
import re

import pytest
from django.core.cache import caches

from registry.repos import bases
from registry.repos.lists import search
from tests import questions
from tests.api.conftest import BASE, FILES, judged, pushed

CONFIG = hashlib.sha256(FILES["adapter_config.json"]).hexdigest()
HIDDEN = {"notes.txt": b"seen by nobody else"}


@pytest.fixture
def world(cast, reviews):
    """A public adapter with a verdict, and a private one with a file of its own."""
    caches["default"].delete(search.KEY)
    secret = cast.repository("acme/secret", private=True)
    judged(pushed(cast, secret, files={**FILES, **HIDDEN}))
    cast.people["carol"].is_active = False
    cast.people["carol"].save()


def found(client, q, **more):
    """Return the ids of what is found, by kind."""
    answer = client.get("/api/v1/search", {"q": q, **more})
    assert answer.status_code == 200, answer.content
    body = answer.json()
    keys = {"adapters": "id", "bases": "id", "owners": "name", "files": "adapter"}
    return {kind: [item[key] for item in body[kind]] for kind, key in keys.items() if body[kind]} | (
        {"suggestion": body["suggestion"]} if body["suggestion"] else {}
    )


def test_each_kind_is_found_by_its_name(visit, world):
    bases.add_alias("house/mini", BASE)
    assert found(visit(), "reviews") == {"adapters": ["alice/reviews"]}
    assert found(visit(), "MINILM") == {"adapters": ["alice/reviews"], "bases": [BASE]}
    assert found(visit(), "house/mini") == {"bases": [BASE]}
    assert found(visit(), "acme") == {"owners": ["acme"]}
    assert found(visit(), "alic")["owners"] == ["alice"]
    assert "owners" not in found(visit(), "carol")
    assert found(visit("mona"), "carol")["owners"] == ["carol"]


def test_a_file_is_found_by_its_digest_or_the_beginning_of_it(visit, world):
    for digest in (CONFIG, CONFIG[:8], CONFIG[:8].upper()):
        assert found(visit(), digest) == {"files": ["alice/reviews"]}
    assert found(visit(), CONFIG[:7]) == {}
    assert found(visit(), CONFIG[:63] + ("0" if CONFIG[-1] != "0" else "1")) == {}
    assert set(found(visit("alice"), CONFIG)["files"]) == {"alice/reviews", "acme/secret"}
    hidden = hashlib.sha256(HIDDEN["notes.txt"]).hexdigest()
    assert found(visit(), hidden[:12]) == {}
    assert found(visit("alice"), hidden[:12]) == {"files": ["acme/secret"]}
    assert found(visit(), "secret") == {}


def test_what_finds_nothing_is_corrected_by_words_that_everybody_sees(visit, world):
    assert found(visit(), "reveiws") == {"suggestion": "reviews"}
    assert found(visit(), "all-minilm-l6-v3") == {"suggestion": "all-minilm-l6-v2"}
    assert found(visit(), "alcie/reveiws") == {"suggestion": "alice/reviews"}
    assert found(visit("alice"), "secert") == {}
    assert found(visit(), "zzzzzz") == {}
    assert 'href="/adapters?q=reviews"' in visit().get("/adapters?q=reveiws").content.decode()


def test_the_catalogue_names_what_else_is_called_that_with_a_constant_number_of_queries(visit, world, cast):
    client = visit()
    for number in range(12):
        cast.repository(f"alice/minilm-{number:02}")
    client.get("/adapters?q=minilm")
    with questions.at_most(14):
        page = client.get("/adapters?q=minilm").content.decode()
    others = re.search(r'<dl class="found-others">.*?</dl>', page, re.S)[0]
    assert re.findall(r"<dt>([^<]+)</dt>", others) == ["Base models"]
    assert f'href="/bases/{BASE}"' in others
    for number in range(12):
        bases.add_alias(f"house/mini-{number}", BASE)
        cast.repository(f"alice/more-minilm-{number:02}")
    with questions.at_most(14):
        client.get("/adapters?q=minilm")
    page = client.get(f"/adapters?q={CONFIG[:10]}").content.decode()
    assert re.search(r'href="/alice/reviews/blob/\w{40}/adapter_config.json"', page)
    assert re.search(r'href="/alice">alice</a>', client.get("/adapters?q=alic").content.decode())
    assert "found-others" not in client.get("/adapters?kind=lora").content.decode()


def test_the_former_page_of_results_leads_to_the_catalogue(visit):
    client = visit()
    assert client.get("/search?q=mini+LM&x=1").url == "/adapters?q=mini+LM"
    assert client.get("/search").url == client.get("/search?q=+").url == "/adapters"
    for odd in ("%F0%9F%98%80", "%25", "_", "a" * 300, "%22%27%5C", "l" * 7 + "%20" + CONFIG, "%0D%0Ax"):
        assert client.get(f"/search?q={odd}", follow=True).status_code == 200, odd


def test_words_are_required_by_rest(visit, world):
    for query in ("", "?q=", "?q=a&colour=red", "?q=a&limit=0"):
        answer = visit().get(f"/api/v1/search{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid")
