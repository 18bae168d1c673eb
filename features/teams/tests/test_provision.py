"""Teams in an operator's file."""

from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError

from registry.models import Membership
from tests.registry.test_provision import rows


def test_teams_are_declared_and_stay_as_they_are_the_second_time(provision):
    team = {"name": "ner", "members": ["bob"], "grants": [{"pattern": "ner-*", "type": "model", "role": "write"}]}
    file = {
        "users": [{"name": "bob"}],
        "organizations": [{"name": "acme", "members": {"bob": "member"}, "teams": [team]}],
    }
    printed = provision(file)
    assert printed[-3:] == [
        "team acme/ner: made",
        "team acme/ner: bob is in it",
        "team acme/ner: write on ner-* (model)",
    ]
    assert Membership.objects.get().grants == [["model", "ner-*", "write"]]
    before = rows()
    provision(file)
    assert rows() == before
    for wrong in (
        {"members": ["nobody"]},
        {"grants": [{"pattern": "a/b", "role": "read"}]},
        {"grants": [{"role": "x"}]},
    ):
        with pytest.raises(CommandError, match=r"teams\[0\] \(ner\)"):
            provision({"organizations": [{"name": "acme", "teams": [{"name": "ner", **wrong}]}]})
    assert rows() == before


def test_the_teams_that_the_documentation_shows_are_made(provision):
    text = Path("features/teams/docs/operate.md").read_text()
    shown = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    assert provision({"users": [{"name": "bob"}], **shown})[-1] == "team acme/ner: write on ner-* (model)"
