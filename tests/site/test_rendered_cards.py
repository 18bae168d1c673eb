"""After a push, a worker renders the card once; pages use the result and read nothing from the store."""

import pytest
from django.utils import timezone

from registry.kernel.errors import StoreUnavailable
from registry.models import RenderedCard, RevisionFacts
from registry.repos.contents import rendered_cards
from tests.site.conftest import push_more
from workers import pushed_files

README = b"# Plot\n\n![loss](img/loss.png) by [train.py](train.py)\n"


@pytest.fixture
def no_rendering(monkeypatch):
    """Refuse what no page may do once a worker has rendered the card."""

    def refuse(*_, **__):
        pytest.fail("A page rendered a card or read it from the store.")

    monkeypatch.setattr("registry.repos.contents.card.render_once", refuse)
    monkeypatch.setattr("registry.repos.contents.rendered_cards._read", refuse)


def page(client, address="/alice/reviews"):
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_page_uses_the_card_that_a_worker_rendered(visit, cast, reviews, request):
    revision = push_more(cast, reviews, **{"README.md": README})
    pushed_files.scan_revisions()
    request.getfixturevalue("no_rendering")
    html = page(visit("alice"))  # a reader sees the verified version before it
    assert '<h2 id="user-content-plot">Plot</h2>' in html
    assert f'src="/alice/reviews/resolve/{revision.oid}/img/loss.png"' in html
    assert f'href="/alice/reviews/blob/{revision.oid}/train.py"' in html
    assert RenderedCard.objects.get().nonce not in html


def test_the_next_push_replaces_the_card_and_another_revision_has_its_own(visit, cast, reviews):
    first = push_more(cast, reviews, **{"README.md": README})
    pushed_files.scan_revisions()
    push_more(cast, reviews, **{"README.md": b"# Newer\n"})
    assert ">Newer</h2>" in page(visit("alice")), "no worker has seen the push yet"
    pushed_files.scan_revisions()
    assert ">Newer</h2>" in RenderedCard.objects.get().html
    rendered_cards.keep(first)  # a worker that comes late changes nothing
    assert ">Newer</h2>" in RenderedCard.objects.get().html


def test_a_card_of_an_older_renderer_is_rendered_again_a_few_an_hour(visit, cast, reviews, monkeypatch):
    push_more(cast, reviews, **{"README.md": README})
    pushed_files.scan_revisions()
    RenderedCard.objects.update(renderer=0, html="<h2>Old</h2>")
    assert "Old" not in page(visit("carol"))
    assert rendered_cards.refresh() == 1
    assert rendered_cards.refresh() == 0
    assert ">Plot</h2>" in RenderedCard.objects.get().html


def test_a_store_that_does_not_answer_holds_up_no_scan(cast, reviews, monkeypatch):
    def refuse(_):
        raise StoreUnavailable("The store does not answer.")

    push_more(cast, reviews, **{"README.md": README})
    monkeypatch.setattr("registry.repos.contents.rendered_cards._read", refuse)
    pushed_files.scan_revisions()
    assert not RenderedCard.objects.exists()
    assert not reviews.revisions.filter(pickle_scan__free_at__lte=timezone.now()).exists()


def test_a_page_is_shown_without_its_card_while_the_store_does_not_answer(visit, cast, reviews, monkeypatch):
    def refuse(*_):
        raise StoreUnavailable("The file store does not respond.")

    push_more(cast, reviews, **{"README.md": README})
    monkeypatch.setattr("registry.repos.contents.rendered_cards._read", refuse)
    monkeypatch.setattr("registry.repos.contents.stored_facts.read_facts", refuse)
    assert ">Plot</h2>" in page(visit("alice")), "its facts are a row, and the text of the card"
    RevisionFacts.objects.all().delete()  # as for what a release before this one pushed
    assert "metadata was not read.</b> The file store does not respond." in page(visit("carol"))


def test_a_repository_without_a_card_says_so(visit, cast, reviews):
    push_more(cast, reviews, **{"README.md": b"---\nlicense: mit\n---\n\n"})
    assert "No card yet" in page(visit("alice"))
    pushed_files.scan_revisions()
    assert "No card yet" in page(visit("alice"))
