"""Words a comparison: each difference, and all sides in one sentence."""

from collections.abc import Sequence

from django.utils.translation import gettext

from dovetail.adapters.results.report import Report
from hub.site.measures import number, size
from registry.proof import comparisons
from registry.proof.comparisons import EvaluationChange

LETTERS = "ABCD"  # one for each side; more would not fit beside each other
SMALLER = 1.2  # times: a difference of sizes that is worth a word


def colour_of(change: EvaluationChange) -> str:
    """Return `passed` or `failed` for what the paired test finds better or worse, "" for what it does not tell."""
    return {"better": "passed", "worse": "failed"}.get(change.outcome, "")


def word_of(change: EvaluationChange) -> str:
    """Return why a difference has no colour, or why there is none; "" for one that has a colour."""
    if change.change is None:
        return gettext("other rows") if change.before and change.after else ""
    if colour_of(change) or not change.change:
        return ""
    return gettext("within chance") if change.outcome else gettext("not tested")


def conclusion(reports: Sequence[Report | None], sizes: Sequence[int]) -> str:
    """Return one sentence: which side measured best, or why none did; of equal ones, the smallest by its bytes."""
    found = comparisons.conclude(reports)
    values = [value for value in found.sides if value]
    if found.outcome == "not-measured":
        letters = [letter for letter, value in zip(LETTERS, found.sides, strict=False) if value is None]
        return gettext("No winner: there is no score of {sides} to compare.").format(sides=_joined(letters))
    if found.outcome == "other-rows":
        return gettext("No winner: the sides were measured on different rows or by different metrics.")
    best, numbers = values[found.best], [number(value.adapter) for value in values]
    others = [at for at in range(len(values)) if at != found.best]
    said = {
        "metric": best.metric,
        "values": _joined(numbers),
        "rows": number(round(best.rows)),
        "p": f"{found.p or 0:.2g}",
    }
    if found.outcome == "untested":
        words = gettext(
            "No winner: {metric} {values} on the same {rows} rows, without numbers row by row to test them."
        )
        return words.format(**said)
    if found.outcome == "better":
        said |= {"best": LETTERS[found.best], "others": _joined([LETTERS[at] for at in others])}
        said |= {"value": numbers[found.best], "values": _joined([numbers[at] for at in others])}
        words = gettext("{best} is better than {others}: {metric} {value} against {values} on {rows} rows (p = {p}).")
        return words.format(**said)
    words = gettext("None is better beyond chance: {metric} {values} on the same {rows} rows (p = {p}).").format(**said)
    least, *larger = sorted(sizes)
    if least and larger[0] > SMALLER * least:
        smallest = gettext("{letter} is the smallest ({size}).")
        words = f"{words} {smallest.format(letter=LETTERS[list(sizes).index(least)], size=size(least))}"
    return words


def _joined(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: A, B and C."""
    if len(words) < 2:
        return "".join(words)
    return gettext("{first} and {last}").format(first=", ".join(words[:-1]), last=words[-1])
