"""Each spoilt adapter is refused by exactly the check that is there for it, and nothing of it disturbs the next."""

import pytest

from tests.adapters import SABOTEURS, facts_of, lora, write


def failures(verdict):
    return [check["id"] for check in verdict["checks"] if check["outcome"] == "failed"]


@pytest.mark.parametrize("name", SABOTEURS)
def test_a_saboteur_fails_with_exactly_its_own_check(name, every_bert, tmp_path):
    expected, spoil = SABOTEURS[name]
    verdict = every_bert.validate(write(spoil(lora()), tmp_path), facts_of(lora()))
    assert failures(verdict) == [expected], verdict["checks"]
    assert verdict["state"] == "failed"
    refusal = next(check for check in verdict["checks"] if check["outcome"] == "failed")
    assert refusal["message"].endswith(".")
    assert refusal["fix"].endswith((".", "?"))


def test_an_honest_adapter_passes_after_all_of_them(every_bert, tmp_path):
    verdict = every_bert.validate(write(lora(), tmp_path), facts_of(lora()))
    assert failures(verdict) == []
    assert verdict["state"] == "passed"
