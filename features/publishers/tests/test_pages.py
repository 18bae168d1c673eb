"""The pages of trusted publishers: what an administrator types, and what everybody reads of a CI job."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from features.publishers import verbs
from registry.models import PublishingRun, Repository, Revision, TrustedPublisher
from registry.people.tokens import id_tokens, tokens
from registry.publish import push
from registry.publish.push import MAIN, Inline, Intent
from tests.cast import Cast, signed_in

GITHUB = {
    "repository": "acme/train",
    "repository_owner_id": "4711",
    "workflow": "publish.yml",
    "git_ref": "refs/tags/v*",
    "environment": "release",
}
PAGE = "/acme/reviews/settings/publishers"


@pytest.fixture
def alice(cast: Cast) -> Any:  # a Client, whose answers have what Django adds to them
    return signed_in(Client(), cast["alice"])


@pytest.fixture
def repository(cast: Cast) -> Repository:
    return cast.repository("acme/reviews")


def text(answer: Any) -> str:
    return answer.content.decode()


def test_github_is_trusted_by_a_form(alice: Any, repository: Repository):
    assert "None yet." in text(alice.get(PAGE))
    assert alice.post(f"{PAGE}/github", GITHUB).url == PAGE
    publisher = TrustedPublisher.objects.get()
    assert publisher.issuer == id_tokens.GITHUB
    assert publisher.claims == {
        "repository": ["acme/train"],
        "repository_owner_id": ["4711"],
        "environment": ["release"],
        "workflow_ref": ["acme/train/.github/workflows/publish.yml@refs/tags/v*"],
    }
    page = text(alice.get(PAGE))
    assert publisher.account.username in page
    assert "environment = release" in page
    for line in ("tags: [&quot;v**&quot;]", "environment: release", "hf upload acme/reviews ./adapter"):
        assert line in page
    assert "<code>.github/workflows/publish.yml</code>" in page
    alice.post(f"{PAGE}/{publisher.pk}/remove")
    assert not TrustedPublisher.objects.exists()


def test_gitlab_is_trusted_by_a_form(alice: Any, repository: Repository):
    alice.post(f"{PAGE}/gitlab", {"project_path": "acme/train", "protected": "true"})
    alice.post(f"{PAGE}/gitlab", {"project_path": "acme/train", "protected": "any", "ref": "v*"})
    first, second = TrustedPublisher.objects.all()
    assert (first.issuer, first.claims) == (
        id_tokens.GITLAB,
        {"project_path": ["acme/train"], "ref_protected": ["true"]},
    )
    assert second.claims == {"project_path": ["acme/train"], "ref": ["v*"]}


def test_any_issuer_is_trusted_by_its_claims(alice: Any, repository: Repository, settings):
    settings.CI_ISSUERS = ["https://ci.example.org"]
    lines = "sub = job:train\r\n\r\nbranch=main\nbranch = next\n"
    alice.post(f"{PAGE}/other", {"issued_by": "https://ci.example.org", "pinned": lines})
    assert TrustedPublisher.objects.get().claims == {"sub": ["job:train"], "branch": ["main", "next"]}


@pytest.mark.parametrize(
    ("system", "changed", "words"),
    [
        ("github", {"repository": ""}, "Write it as"),
        ("github", {"repository": "acme/*"}, "Write it as"),
        ("github", {"repository_owner_id": "acme"}, "not a number"),
        ("github", {"workflow": ""}, "Name one file"),
        ("github", {"workflow": "*"}, "Name one file"),
        ("gitlab", {"instance": "https://evil.example.org", "project_path": "a/b"}, "does not accept"),
        ("gitlab", {"project_path": ""}, "must pin project_path"),
        ("other", {"issued_by": "https://evil.example.org", "pinned": "sub = x"}, "not one of the available"),
        ("other", {"issued_by": id_tokens.GITLAB, "pinned": "no line"}, "is not of the form"),
        ("other", {"issued_by": id_tokens.GITHUB, "pinned": "environment = x"}, "must pin repository"),
    ],
)
def test_a_form_that_would_let_strangers_in_is_shown_again(
    alice: Any, repository: Repository, system: str, changed: dict, words: str
):
    answer = alice.post(f"{PAGE}/{system}", (GITHUB if system == "github" else {}) | changed)
    assert answer.status_code == 400
    assert words in text(answer)
    assert not TrustedPublisher.objects.exists()


def test_a_repository_takes_pushes_from_publishers_only(alice: Any, repository: Repository):
    alice.post(f"{PAGE}/only", {"pushes": "publishers"})
    repository.refresh_from_db()
    assert repository.publishers_only
    assert alice.post(f"{PAGE}/only", {}).status_code == 400
    alice.post(f"{PAGE}/only", {"pushes": "everybody"})
    repository.refresh_from_db()
    assert not repository.publishers_only


def test_a_repository_that_does_not_exist_yet_has_a_pending_publisher(alice: Any, cast: Cast):
    page = "/settings/publishers"
    assert "alice/reviews" in text(alice.get(page))  # what to type
    assert alice.post(f"{page}/github", GITHUB | {"full_name": "acme/fresh", "type": "dataset"}).url == page
    publisher = TrustedPublisher.objects.get()
    assert (publisher.full_name, publisher.type, publisher.repository) == ("acme/fresh", "dataset", None)
    assert "acme/fresh" in text(alice.get(page))
    bob: Any = signed_in(Client(), cast["bob"])
    assert "acme/fresh" not in text(bob.get(page))
    assert bob.post(f"{page}/{publisher.pk}/remove").status_code == 404
    refused = bob.post(f"{page}/github", GITHUB | {"full_name": "acme/other", "type": "model"})
    assert refused.status_code == 403
    assert "does not administer acme" in text(refused)
    alice.post(f"{page}/{publisher.pk}/remove")
    assert not TrustedPublisher.objects.exists()


def published(cast: Cast, repository: Repository, **claims: str) -> Revision:
    """Push as a CI job with these claims."""
    pinned = {"repository": ["acme/train"], "repository_owner_id": ["1"], "workflow_ref": ["acme/train/x.yml@main"]}
    publisher = verbs.trust(repository, id_tokens.GITHUB, pinned, cast.session("alice"))
    value = tokens.create_token(publisher.account, "run 1", "fine-grained", grants={repository.full_name: "write"})
    by = tokens.caller_of(value)
    PublishingRun.objects.create(
        publisher=publisher,
        issuer=id_tokens.GITHUB,
        jti_sha256="0" * 64,
        claims={"repository": "acme/train", "run_id": "77", "sha": "c" * 40, **claims},
        token=by.token,
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
    )
    return push.receive(Intent(repository, MAIN, by, "From CI"), [Inline("notes.txt", b"x")]).revision


def test_the_page_of_a_version_says_which_job_published_it(alice: Any, cast: Cast, repository: Repository):
    revision = published(cast, repository, actor="<script>alert(1)</script>")
    page = text(Client().get(f"/acme/reviews/commit/{revision.oid}"))
    assert "Published from CI:" in page
    assert 'href="https://github.com/acme/train/actions/runs/77"' in page
    assert f'href="https://github.com/acme/train/commit/{"c" * 40}"' in page
    assert "<script>alert(1)" not in page
    assert f'<a href="/acme">{revision.author.username}</a>' in page
    assert Client().get(f"/{revision.author.username}").status_code == 404
    assert Client().get(f"/api/users/{revision.author.username}/overview").status_code == 404
    first = revision.parent
    assert first is not None
    assert "Published from CI" not in text(Client().get(f"/acme/reviews/commit/{first.oid}"))


def test_rest_says_which_job_published_a_version(cast: Cast, repository: Repository):
    revision = published(cast, repository)
    job = Client().get(f"/api/v1/adapters/acme/reviews/revisions/{revision.oid}").json()["published_by"]
    assert job == {
        "publisher": revision.author.username,
        "issuer": id_tokens.GITHUB,
        "project": "acme/train",
        "job": "77",
        "run_url": "https://github.com/acme/train/actions/runs/77",
        "commit": "c" * 40,
        "commit_url": f"https://github.com/acme/train/commit/{'c' * 40}",
        "claims": {"repository": "acme/train", "run_id": "77", "sha": "c" * 40},
    }
    assert Client().get("/api/v1/adapters/acme/reviews/revisions/main").json()["published_by"] == job
    verbs.remove(repository, TrustedPublisher.objects.get().pk, cast.session("alice"))
    assert Client().get("/api/v1/adapters/acme/reviews/revisions/main").json()["published_by"]["publisher"] == ""
    assert Client().get("/api/v1/adapters/acme/reviews/revisions/main").json()["author"] == revision.author.username
