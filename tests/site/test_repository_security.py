"""The page of a repository's security: who pushed each version, what was found in it, and the licenses behind it."""

from registry.kernel import audit
from registry.models import PickleScan
from tests.api.conftest import BASE, judged, pushed
from tests.cast import Cast
from tests.site.conftest import push_more

PAGE = "/alice/reviews/security"


def text_of(answer) -> str:
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def push_with_token(cast: Cast, repository, name: str):
    """Push as alice does with a token of this name."""
    reset = audit.credential.set(f"token:{name}")
    try:
        return push_more(cast, repository, **{"README.md": f"---\nlicense: mit\n---\n# {name}\n".encode()})
    finally:
        audit.credential.reset(reset)


def test_the_page_says_who_pushed_and_what_was_found(cast, visit, reviews):
    second = push_with_token(cast, reviews, "laptop")
    license = {"id": "card.license", "outcome": "warned", "message": "The base asks for more.", "fix": "Set another."}
    judged(second, checks=[license, {"id": "privacy.secret", "outcome": "failed", "message": "hf_x in a.txt"}])
    PickleScan.objects.exclude(revision=second).delete()
    owner, stranger = text_of(visit("alice").get(PAGE)), text_of(visit().get(PAGE))
    assert "token laptop" in owner
    assert "session" in owner
    assert "token laptop" not in stranger
    assert "hf_x" not in owner + stranger, "the verdict says where, to those who may see it"
    for page in (owner, stranger):
        assert '<span class="state running">waiting</span>' in page
        assert '<span class="state failed">found</span>' in page
        assert page.count('<span class="state passed">none</span>') >= 1
        assert BASE in page
        assert "The base asks for more." in page
    assert ">changed</span>" not in stranger
    shared = cast.repository("acme/shared")
    for who in ("alice", "bob"):
        pushed(cast, shared, by=who, files={f"{who}.txt": b"x"})
    assert text_of(visit().get("/acme/shared/security")).count(">changed</span>") == 1
