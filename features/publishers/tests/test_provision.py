"""Trusted publishers in an operator's file."""

from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError

from registry.models import TrustedPublisher, User
from registry.people.tokens.id_tokens import GITHUB

WORKFLOWS = ["acme/train/x.yml@main", "acme/train/y.yml@main"]
CLAIMS = {"repository": "acme/train", "repository_owner_id": ["1"], "workflow_ref": WORKFLOWS}


def test_publishers_of_the_file_are_trusted_once(provision):
    publisher = {"repository": "reviews", "issuer": GITHUB, "claims": CLAIMS}
    file = {"organizations": [{"name": "acme", "publishers": [publisher]}]}
    assert provision(file) == ["organisation acme: made", "publisher of acme/reviews: trusted"]
    trusted = TrustedPublisher.objects.get()
    assert (trusted.claims["repository"], trusted.claims["workflow_ref"]) == (["acme/train"], WORKFLOWS)
    assert provision(file) == ["Everything already matches the file."]
    assert TrustedPublisher.objects.count() == 1


def test_the_publishers_that_the_documentation_shows_are_trusted(provision):
    page = Path("features/publishers/docs/operate.md").read_text()
    shown = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    assert provision(shown)[-1] == "publisher of acme/reviews-lora: trusted"
    assert TrustedPublisher.objects.get().claims["repository_owner_id"] == ["4711"]


@pytest.mark.parametrize(
    ("issuer", "claims", "message"),
    [
        ("https://evil.example", {"sub": "x"}, "does not accept"),
        (GITHUB, {"repository": [1]}, "must contain strings"),
        (GITHUB, {}, "must pin"),
    ],
)
def test_publishers_that_cannot_be_change_nothing(provision, issuer, claims, message):
    publisher = {"repository": "r", "issuer": issuer, "claims": claims}
    with pytest.raises(CommandError, match=message):
        provision({"organizations": [{"name": "acme", "publishers": [publisher]}]})
    assert not User.objects.exclude(kind="person").exists()
    assert not TrustedPublisher.objects.exists()
