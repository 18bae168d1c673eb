"""The drill knows every alarm, and shortens nothing but times; `make drill` itself runs by hand."""

import pytest
import yaml

from ops.sentences import Stop
from tests.drill.__main__ import chosen
from tests.drill.prometheus import FACTOR, RULES, alarms, configuration, scaled
from tests.drill.provocations import PROVOCATIONS


def test_every_alarm_has_a_provocation() -> None:
    assert PROVOCATIONS.keys() == alarms().keys()
    assert {name for one in PROVOCATIONS.values() for name in one.also} <= alarms().keys()


def test_a_wrong_name_is_refused_before_anything_starts() -> None:
    with pytest.raises(Stop, match=r"No alarm is called DovetailOff\. -h lists them\."):
        chosen(["DovetailOff", "DovetailNoWorker"])


def test_only_times_of_patience_and_windows_are_shorter() -> None:
    before, after = RULES.read_text(), scaled(RULES.read_text())
    changed = [pair for pair in zip(before.split(), after.split(), strict=True) if pair[0] != pair[1]]
    assert len(changed) > len(alarms())
    assert all(old[-1] in "smh" or "[" in old for old, _ in changed)
    [old], [new] = (
        [rule["for"] for rule in yaml.safe_load(text)["groups"][0]["rules"] if rule["alert"] == "DovetailSlow"]
        for text in (before, after)
    )
    assert (old, new) == ("10m", f"{600_000 // FACTOR}ms")


def test_the_runbook_says_how_prometheus_is_configured(tmp_path) -> None:
    [job] = configuration(tmp_path, ["127.0.0.1:1"], "secret")["scrape_configs"]
    assert job["job_name"] == "dovetail"
    assert job["authorization"] == {"credentials": "secret"}
