"""The pages of visitors: the facts of an adapter; an invisible one looks exactly like one that does not exist."""

import json
import re
from html import unescape
from urllib.parse import quote, unquote

import pytest
from django.utils import timezone

from registry.kernel import site_settings
from registry.models import Base, Repository, Revision
from registry.moderation import quarantine
from registry.proof.verdicts import requests
from registry.publish import push
from registry.repos import refs
from registry.talk import dispatch
from tests.api.conftest import BASE, CONFIG, judged, pushed, weights
from tests.questions import Questions
from tests.site.conftest import CHECKS, EVALS, push_more
from tests.sweep import at_merge, sweep

PAGES = ["", "/tree/main", "/blob/main/README.md", "/commits/main", "/commit/main", "/verdict/main", "/tree/verified"]


def text(answer):
    return re.sub(r"<[^>]+>", " ", answer.content.decode())


def without_secrets(answer):
    """The page without what differs from request to request."""
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", answer.content.decode())


def headers(answer):
    """All but what every answer has of its own: its id, and how many more the caller may ask."""
    return {name: value for name, value in answer.headers.items() if name not in {"X-Request-Id", "RateLimit"}}


@sweep("page", PAGES)
def test_every_page_of_a_public_adapter_is_there_for_everybody(visit, reviews, page):
    for who in ("anonymous", "carol", "alice"):
        answer = visit(who).get(f"/alice/reviews{page}")
        assert answer.status_code == 200
        assert "alice" in text(answer)


def test_strangers_see_the_last_verdict_with_its_number_the_commonest_bases_and_what_trends(visit, cast, reviews):
    Base.objects.create(id="org/unused", revision="r", sha256="0" * 64)
    before = cast.repository("alice/before")
    judged(pushed(cast, before), checks=CHECKS, evals=EVALS)
    Repository.objects.filter(pk=before.pk).update(trending=2.0**40, downloads=7)
    push_more(cast, reviews, **{"README.md": b"# Again\n"})  # its verdict is the last one all the same
    Repository.objects.filter(pk=reviews.pk).update(updated_at=timezone.now())
    html = re.sub(r"\s+", " ", visit("anonymous").get("/").content.decode())
    last, _, below = html.partition('<h2 id="lately">')
    assert 'href="/alice/reviews/verdict/verified"' in last
    assert "Accuracy <b>1.00</b>" in last
    assert f'href="/bases/{BASE}"' in last
    assert "org/unused" not in html
    assert "/alice/before" in below
    assert "7" in text(visit("anonymous").get("/")).partition("Trending")[2]
    assert 'action="/adapters"' in last


@sweep("page", PAGES)
@pytest.mark.parametrize("who", ["anonymous", "carol"])
def test_a_private_adapter_looks_like_one_that_does_not_exist(visit, secret, page, who):
    client = visit(who)
    hidden, missing = client.get(f"/acme/secret{page}"), client.get(f"/acme/nothing{page}")
    assert hidden.status_code == missing.status_code == 404
    assert without_secrets(hidden) == without_secrets(missing)
    assert headers(hidden) == headers(missing)


@sweep("page", PAGES)
@pytest.mark.parametrize("who", ["erin", *at_merge("alice", "bob", "dave")])
def test_members_see_the_private_adapters_of_their_organisation(visit, secret, page, who):
    assert visit(who).get(f"/acme/secret{page}").status_code == 200


@sweep("address", ["/", "/adapters", "/adapters?q=secret", "/acme", "/bases"])
def test_lists_show_strangers_no_private_adapter_and_members_theirs(visit, secret, address):
    assert "/acme/secret" not in visit("carol").get(address).content.decode()
    if address != "/bases":
        assert "/acme/secret" in visit("erin").get(address).content.decode()


def test_a_quarantined_adapter_tells_its_owner_why_and_does_not_exist_for_others(visit, cast, reviews):
    quarantine.quarantine(reviews, cast.session("mona"), reason="A pickle in it imports os.system.")
    for page in PAGES:
        shown = visit("alice").get(f"/alice/reviews{page}")
        assert shown.status_code == 200
        assert "A pickle in it imports os.system." in text(shown)
        assert visit("carol").get(f"/alice/reviews{page}").status_code == 404
    assert "reviews" not in text(visit("carol").get("/adapters"))


def test_the_verdict_page_lists_each_check_with_its_fix(visit, reviews):
    page = text(visit().get("/alice/reviews/verdict/main"))
    for check in CHECKS:
        assert check["id"] in page
        assert check["message"] in page
    assert "Name it." in page
    assert "3 of 3 checks" in page
    assert "passed, 1 note" in page
    assert re.search(r"1\.00\s+–\s+0\.50\s+base\s+0\.98", page), "score, interval, base and claim"


def test_a_failed_verdict_begins_with_the_fix(visit, cast):
    failed = {"id": "tensors.not-finite", "outcome": "failed", "message": "3 NaN.", "fix": "Train with a lower rate."}
    judged(pushed(cast, cast.repository("alice/broken")), "failed", checks=[failed])
    for page in ("", "/verdict/main"):
        shown = text(visit().get(f"/alice/broken{page}"))
        assert shown.index("Train with a lower rate.") < shown.index("3 NaN.")


def test_what_failed_by_its_files_is_not_said_to_lack_its_base(visit, cast):
    check = {"id": "tensors.not-finite", "outcome": "failed", "message": "3 NaN.", "fix": "Train again."}
    engine = {"name": "e5", "transformers": "5.24.0", "peft": "0.21.2", "torch": "2.13.0"}
    judged(pushed(cast, cast.repository("alice/broken")), "failed", checks=[check], depth="static", engine=engine)
    shown = " ".join(text(visit().get("/alice/broken/verdict/main")).split())
    assert "was refused before it was loaded by engine e5" in shown
    assert "without its base" not in shown


def test_an_error_of_the_hub_is_not_blamed_on_the_author(visit, cast):
    crash = {"id": "engine.check-crashed", "outcome": "failed", "message": "broke"}
    revision = pushed(cast, cast.repository("alice/unlucky"))
    revision.verdicts.update(attempt=2)
    judged(revision, "errored", checks=[crash])
    shown = visit().get("/alice/unlucky/verdict/main")
    assert "not the author" in text(shown)
    assert "to fix" not in text(shown)


def test_the_panel_follows_a_verdict_until_the_page_must_load_anew(visit, cast):
    revision = pushed(cast, cast.repository("alice/slow"))
    client = visit()
    assert "hx-get" in client.get("/alice/slow").content.decode()
    waiting = client.get("/alice/slow/verdict/main?was=queued")
    assert waiting.status_code == 200
    assert "<html" not in waiting.content.decode()
    judged(revision)
    done = client.get("/alice/slow/verdict/main?was=queued")
    assert done.status_code == 204
    assert done["HX-Refresh"] == "true"
    assert "hx-get" not in client.get("/alice/slow").content.decode()


def test_an_empty_adapter_shows_its_owner_how_to_push(visit, cast):
    cast.repository("alice/new")
    assert "hf upload alice/new ./adapter" in text(visit("alice").get("/alice/new"))
    assert "hf upload" not in text(visit("carol").get("/alice/new"))
    assert visit().get("/alice/new/verdict/main").status_code == 404


def test_where_the_newest_version_failed_the_page_leads_to_the_one_that_works(visit, cast, reviews):
    verified = reviews.refs.get(name="refs/verified").revision.oid
    check = {"id": "tensors.not-finite", "outcome": "failed", "message": "3 NaN.", "fix": "Train again."}
    judged(push_more(cast, reviews, **{"notes.txt": b"new"}), "failed", checks=[check])
    assert f"stays at {verified[:8]}" in " ".join(text(visit().get("/alice/reviews/verdict/main")).split())
    reader = " ".join(text(visit().get("/alice/reviews")).split())
    assert re.search(r"newest ?, just now ?, failed ?: tensors.not-finite", reader)


def test_a_page_shows_the_rank_and_base_of_its_own_revision(visit, cast, reviews):
    config = json.loads(CONFIG) if isinstance(CONFIG, bytes | str) else dict(CONFIG)
    other = {**config, "r": 99, "base_model_name_or_path": "tiny/other"}
    push_more(cast, reviews, **{"adapter_config.json": json.dumps(other).encode()})
    owner = visit("alice").get("/alice/reviews").content.decode()
    assert "r99" in owner
    assert 'href="/bases/tiny/other"' in owner
    before = visit().get("/alice/reviews").content.decode()
    assert "r99" not in before
    assert 'href="/bases/tiny/other"' not in before


def test_a_card_is_an_article_and_cannot_act(visit, cast):
    hostile = b"---\nlicense: mit\n---\n# Hi\n\n<script>alert(1)</script><img src=x onerror=alert(1)>\n"
    pushed(cast, cast.repository("alice/hostile"), files={"README.md": hostile})
    page = visit().get("/alice/hostile").content.decode()
    article = page[page.index('<article class="card-body"') :].partition("</article>")[0]
    assert ">Hi</h2>" in article
    assert "alert" not in article
    assert "<script" not in article


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("a.json", b'{"a": "<b>"}', "{&quot;a&quot;: &quot;&lt;b&gt;&quot;}"),
        ("weights.raw", b"\x00\xff", "not text"),
        ("adapter_model.safetensors", weights(), "2 × 3"),
        ("torn.safetensors", weights()[:40], "header cannot be read"),
        ("long.txt", b"x" * 300_000, "too large"),
        ("empty.txt", b"", "0 lines"),
        ("deep/er/note.md", b"# raw", "# raw"),
        ("sp ace & <b>.txt", b"odd name", "odd name"),
    ],
)
def test_files_are_shown_as_text_or_named(visit, cast, name, content, shown):
    pushed(cast, cast.repository("alice/files"), files={name: content})
    answer = visit().get(f"/alice/files/blob/main/{quote(name)}")
    assert answer.status_code == 200
    assert shown in answer.content.decode()
    tree = visit().get("/alice/files/tree/main").content.decode()
    links = [unescape(link) for link in re.findall(r'data-item\s+href="(.*?)"', tree)]
    kind = "tree" if "/" in name else "blob"
    assert f"/alice/files/{kind}/main/{name.split('/')[0]}" in [unquote(link) for link in links]
    assert [visit().get(link).status_code for link in links] == [200] * len(links)


@pytest.mark.parametrize(
    "address", ["/tree/main/nothing", "/blob/main/nothing", "/tree/nothing", "/commit/" + "0" * 40]
)
def test_what_is_not_in_an_adapter_is_404(visit, reviews, address):
    assert visit().get(f"/alice/reviews{address}").status_code == 404


def test_other_spellings_lead_to_the_one_that_counts(visit, reviews):
    assert visit().get("/Alice/REVIEWS/tree/main?x=1")["Location"] == "/alice/reviews/tree/main?x=1"
    assert visit().get("/ALICE")["Location"] == "/alice"
    assert visit().get("/bases/acme/nowhere/")["Location"] == "/bases/acme/nowhere"


@pytest.mark.parametrize(
    "address",
    ["/docs", "/moderation", "/adapters", "/docs/checks", "/alice", "/alice/reviews", "/alice/reviews/tree/main"],
)
def test_a_slash_at_the_end_leads_to_the_page_without_it(visit, reviews, address):
    assert visit().get(f"{address}/?x=1")["Location"] == f"{address}?x=1"


@pytest.mark.parametrize("address", ["/nobody/nothing/neither/", "/api/nothing/"])
def test_a_slash_at_the_end_of_no_page_is_404(visit, reviews, address):
    assert visit().get(address).status_code == 404


def test_a_slash_at_the_end_never_leads_to_another_host(visit, reviews):
    for address in ("//example.org/", "/\\example.org/", "///example.org//"):
        answer = visit().get(address)
        assert not answer.headers.get("Location", "/x").startswith(("//", "/\\"))


def test_versions_show_their_verdicts_and_names(visit, cast, reviews):
    push_more(cast, reviews, **{"notes.txt": b"new"})
    page = text(visit().get("/alice/reviews/commits/main"))
    assert page.index("queued") < page.index("passed, 1 note")
    assert "verified" in page
    assert re.search(r"notes\.txt\s+added", text(visit().get("/alice/reviews/commit/main")))


def test_what_a_version_changed_tells_no_file_of_a_version_that_is_held_back(visit, cast, reviews):
    held = push_more(cast, reviews, **{"passwords.txt": b"hunter2"})
    push.receive(push.Intent(reviews, refs.MAIN, cast.session("alice"), "Clean"), [push.Deletion("passwords.txt")])
    assert "passwords.txt" in text(visit().get("/alice/reviews/commit/main"))
    quarantine.quarantine(reviews, cast.session("mona"), reason="Passwords.", revision=held)
    seen = text(visit().get("/alice/reviews/commit/main"))
    assert "passwords.txt" not in seen
    assert "the version before it is held back" in seen
    assert held.oid[:7] not in seen
    assert "passwords.txt" in text(visit("alice").get("/alice/reviews/commit/main"))


def test_where_only_verified_versions_are_served_strangers_read_the_verified_card(visit, cast, reviews):
    push_more(cast, reviews, **{"README.md": b"# Not proven yet\n"})
    pushed(cast, cast.repository("alice/unproven"))
    site_settings.change_setting("pull_policy", "verified", by=cast["ada"])
    assert "Not proven yet" in text(visit("alice").get("/alice/reviews"))
    assert "Tells good reviews from bad ones" in text(visit("carol").get("/alice/reviews"))
    assert "cannot be downloaded yet" in text(visit("carol").get("/alice/unproven"))
    assert "cannot be downloaded yet" not in text(visit("alice").get("/alice/unproven"))


def test_the_pull_policy_holds_for_the_file_viewer(visit, cast, reviews):
    push_more(cast, reviews, **{"notes.txt": b"new"})
    site_settings.change_setting("pull_policy", "verified", by=cast["ada"])
    assert visit("carol").get("/alice/reviews/blob/main/notes.txt").status_code == 403
    assert visit("carol").get("/alice/reviews/blob/verified/README.md").status_code == 200
    assert visit("alice").get("/alice/reviews/blob/main/notes.txt").status_code == 200


def test_a_dataset_has_the_same_pages_under_its_own_prefix(visit, cast):
    pushed(cast, cast.repository("alice/rows", type="dataset"), files={"rows.jsonl": b'{"text": "x"}\n'})
    for page in ("", "/tree/main", "/blob/main/rows.jsonl", "/commits/main"):
        assert visit().get(f"/datasets/alice/rows{page}").status_code == 200
    assert visit().get("/alice/rows").status_code == 404


@pytest.mark.parametrize(
    "address", ["/", "/adapters", *at_merge("/adapters?kind=lora&verdict=passed", "/alice", "/bases")]
)
@pytest.mark.parametrize("who", ["anonymous", "alice"])
def test_lists_cost_the_same_whatever_their_length(visit, cast, reviews, address, who):
    client = visit(who)

    def cost():
        client.get(address)  # what is remembered is read before it is counted
        with Questions() as queries:
            client.get(address)
        return len(queries)  # now: the next request forgets them

    few = cost()
    for number in range(12):
        judged(pushed(cast, cast.repository(f"alice/more-{number}")), checks=CHECKS)
    assert cost() == few <= (32 if address == "/" else 20)


def what_became_of_many_costs_as_much_as_of_one(visit, cast, address):
    """Have five versions stop working, and ask for a page that tells of them: as often as when there was one."""
    client = visit("alice")

    def stopped(name):
        judged(pushed(cast, cast.repository(name)))
        revision = Revision.objects.get(refs__name="refs/heads/main", refs__repository__name=name.partition("/")[2])
        requests.request(revision, BASE, again=True)
        judged(revision, "failed", checks=CHECKS)

    def cost():
        client.get(address)
        with Questions() as queries:
            said = client.get(address).content.decode()
        return len(queries), said.count("/verdict/")

    stopped("alice/n0")
    dispatch.run()
    few, shown = cost()
    assert shown == 1
    for number in range(1, 5):
        stopped(f"alice/n{number}")
    dispatch.run()
    assert cost() == (few, 5)


def test_an_adapters_page_costs_the_same_whatever_its_history(visit, cast, reviews):
    client = visit("carol")
    pages = ["", "/verdict/main", "/commits/main"]
    [client.get(f"/alice/reviews{page}") for page in pages]

    def cost():
        with Questions() as queries:
            [client.get(f"/alice/reviews{page}") for page in pages]
        return len(queries)

    few = cost()
    for number in range(8):
        judged(push_more(cast, reviews, **{f"n{number}.txt": b"new"}))
    dispatch.run()
    assert cost() == few


@sweep(
    "address, status",
    [
        ("/alice%00/reviews", 404),
        ("/alice/reviews/tree/ma%00in", 404),
        ("/%00", 404),
        ("/bases/a%00b", 404),
        ("/adapters?q=%00", 400),
        ("/adapters?kind=%00&verdict=passed", 400),
        ("/%ff%fe", 404),
        ("/%F0%9F%92%A9/" + "x" * 300, 404),
        ("/adapters?" + "&".join(f"kind=k{number}" for number in range(900)), 200),
        ("/alice/reviews/tree/" + "a" * 900, 404),
        ("/alice/reviews/blob/main/..%2f..%2fetc%2fpasswd", 404),
        ("/alice/reviews/tree/main//", 200),
    ],
)
def test_odd_addresses_get_a_page_and_never_an_error(visit, reviews, address, status):
    assert visit().get(address).status_code == status


def test_a_form_with_a_nul_is_refused(visit, cast):
    assert visit().post("/login", {"username": "ali\0ce", "password": "x"}).status_code == 400
    assert visit("alice").post("/settings/tokens", {"name": "a\0b", "role": "read"}).status_code == 400


def test_a_page_that_an_adapter_does_not_have_leads_back_to_the_adapter(visit, cast, reviews):
    for path, words in (("tree/nope", "no version of this name"), ("blob/main/nope", "no such file in this version")):
        answer = visit().get(f"/alice/reviews/{path}")
        page = answer.content.decode()
        assert answer.status_code == 404
        assert f"alice/reviews has {words}" in page
        assert 'href="/alice/reviews/commits/main"' in page
    cast.repository("alice/secret", private=True)
    hidden = visit().get("/alice/secret/tree/nope").content.decode()
    assert 'href="/alice/secret' not in hidden
