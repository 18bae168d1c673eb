"""Robots in an operator's file."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError
from django.utils import timezone

from registry.models import User
from registry.people.tokens import tokens

MACHINES = {
    "organizations": [
        {
            "name": "acme",
            "robots": [
                {
                    "name": "deploy",
                    "purpose": "nightly builds",
                    "tokens": [
                        {
                            "name": "nightly",
                            "value": "dvt_machine_of_the_file",
                            "expires_at": f"{timezone.now() + timedelta(days=90):%Y-%m-%d}",
                            "repos": {"acme/nightly-*": "create"},
                        }
                    ],
                }
            ],
        }
    ]
}


def test_robots_of_the_file_are_made_once(provision):
    assert provision(MACHINES) == [
        "organisation acme: made",
        "robot acme+deploy: set",
        "token nightly of acme+deploy: set",
    ]
    caller = tokens.caller_of("dvt_machine_of_the_file")
    assert (caller.is_machine, caller.named_grant("acme/nightly-1")) == (True, "create")
    assert provision(MACHINES) == ["Everything already matches the file."]
    assert User.objects.filter(kind="robot").count() == 1


@pytest.mark.parametrize(
    ("robot", "message"),
    [
        ({"name": "a/b"}, r"robots\[0\]"),
        ({"name": "x", "tokens": [{"name": "t", "value": "dvt_long_enough_1"}]}, "must expire within a year"),
        ({"name": "x", "color": "red"}, "unknown key 'color'"),
    ],
)
def test_robots_that_cannot_be_change_nothing(provision, robot, message):
    with pytest.raises(CommandError, match=message):
        provision({"organizations": [{"name": "acme", "robots": [robot]}]})
    assert not User.objects.exclude(kind="person").exists()


def test_the_robots_that_the_documentation_shows_are_made(provision):
    page = Path("features/robots/docs/operate.md").read_text()
    shown = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    assert provision(shown)[-1] == "robot acme+deploy: set"
