"""The numbers that a card claims in its model-index, and whether what was measured contradicts them."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist, stdev
from typing import Any

from workers.engine.evals.measures import CORRELATIONS, MOST, Metric

SIZE = 0.01  # of the test: the most honest claims in all that it refuses
LOSS_MARGIN = 0.1  # some trainers take the mean over tokens, others over batches
ROUNDING = 0.005  # YAML drops the zeros of 0.90 and 1.00
LEAST_ROWS = 12  # of a claim that does not say its rows; a test is seldom smaller
MOST_ROWS = 10_000  # no claim's digits are taken to speak of more
AVERAGES = ("macro", "weighted", "micro", "binary")
AROUND = re.compile(r"^(?:eval|test|validation|val|dev|best|final|overall)+(?=[a-z])|(?<=[a-z0-9])score$")
LOSSES = ("loss", "perplexity")
ALIASES = {
    **dict.fromkeys(("em", "exact"), "exactmatch"),
    **dict.fromkeys(("balancedacc", "macrorecall"), "balancedaccuracy"),
    "acc": "accuracy",
    "ppl": "perplexity",
    "spearmanr": "spearman",
    "pearsonr": "pearson",
    "rougelsum": "rougel",
}
OWN_ROWS = ("smoke", "smokejsonl")


@dataclass(frozen=True, slots=True)
class Claim:
    """A value that a card claims, within `half` of its last digit, with its canonical name and the card's own, `label`.

    `rows` is how many it was measured on, None if the card does not say; `data` names its data set if the rows that are
    measured here are not of it, else "".
    """

    name: str
    label: str
    value: float
    half: float = ROUNDING
    rows: int | None = None
    data: str = ""


def claims_in(card: Any, rows_name: str) -> list[Claim]:
    """Return the claims of a card; `rows_name` names the rows that are measured here, as a verdict does."""
    found = [_claim(entry, data if isinstance(data, dict) else {}, rows_name) for entry, data in _entries(card)]
    return [claim for claim in found if claim is not None]


def bold(claims: Iterable[Claim], metric: Metric) -> Claim | None:
    """Return the boldest claim of a metric, under any of its names; those about other rows come last."""
    sign = 1 if metric.higher_is_better else -1
    named = [claim for claim in claims if claim.name in readings(metric)]
    return max(named, key=lambda claim: (not claim.data, sign * claim.value), default=None)


def readings(metric: Metric) -> dict[str, float]:
    """Return what was measured, by each name that a card may give it."""
    return {_letters(metric.name): metric.adapter, **metric.also}


def chance(metric: Metric, claim: Claim) -> tuple[float, float]:
    """Return the chances that an honest claim is at least so far from what was measured: on its rows, and on many.

    Shares get Fisher's exact test, one-sided; on many rows it becomes the binomial one. A mean of numbers from 0 to 1
    varies at most like a share. Correlations get Fisher's z, and losses the t test, both approximate. A claim that does
    not say its rows counts as measured on the fewest that can give its digits, and on at least a dozen.
    """
    measured, low = readings(metric)[claim.name], claim.value - claim.half
    few = claim.rows or LEAST_ROWS
    if not metric.higher_is_better:
        return _of_losses(metric, claim.value, few), _of_losses(metric, claim.value, MOST_ROWS)
    if measured >= low:
        return 1.0, 1.0
    if metric.name in CORRELATIONS:
        of_few, of_many = (_of_correlations(measured, metric.rows, low, rows) for rows in (few, MOST_ROWS))
        return of_few, of_many
    trials = metric.trials or metric.rows
    right = min(trials, math.ceil(measured * trials - 0.02))  # the measured share has four digits
    many = _fewer(right, trials, _least(low, MOST_ROWS), MOST_ROWS)
    if claim.rows is None:
        return _fewer(right, trials, *_fewest(claim)), many
    rows = max(1, claim.rows * trials // metric.rows)
    return _fewer(right, trials, _least(low, rows), rows), many


def _least(share: float, rows: int) -> int:
    """Return the fewest right answers that are such a share of the rows."""
    return min(rows, max(0, math.ceil(share * rows - 1e-6)))


def _fewest(claim: Claim) -> tuple[int, int]:
    """Return the fewest right answers that are written like the claim, and of how many rows: of a dozen or more."""
    for rows in range(LEAST_ROWS, MOST_ROWS):
        right = _least(claim.value - claim.half, rows)
        if right <= (claim.value + claim.half) * rows + 1e-6:
            return right, rows
    return _least(claim.value - claim.half, MOST_ROWS), MOST_ROWS


def _fewer(right: int, rows: int, claimed: int, claimed_rows: int) -> float:
    """Return the chance that of all right answers so few fall on these rows (Fisher 1935: the hypergeometric tail)."""
    total, every = right + claimed, rows + claimed_rows
    term = math.exp(_combinations(rows, right) + _combinations(claimed_rows, claimed) - _combinations(every, total))
    p = 0.0
    while right >= 0 and term > 1e-20:
        p += term
        term *= right * (claimed_rows - total + right) / ((rows - right + 1) * (total - right + 1))
        right -= 1
    return min(1.0, p)


def _combinations(count: int, chosen: int) -> float:
    """Return the logarithm of the binomial coefficient."""
    return math.lgamma(count + 1) - math.lgamma(chosen + 1) - math.lgamma(count - chosen + 1)


def _of_correlations(measured: float, rows: int, low: float, claimed_rows: int) -> float:
    if min(rows, claimed_rows) < 4:
        return 1.0
    far = math.atanh(min(low, 0.9999)) - math.atanh(max(-0.9999, min(measured, 0.9999)))
    return 1 - NormalDist().cdf(far / math.sqrt(1 / (rows - 3) + 1 / (claimed_rows - 3)))


def _of_losses(metric: Metric, claimed: float, claimed_rows: int) -> float:
    """Return the chance by the t test, 0 without numbers row by row; 1 within the margin."""
    if metric.adapter <= claimed * (1 + LOSS_MARGIN):
        return 1.0
    rows = len(metric.scores)
    if rows < 2 or not (spread := stdev(metric.scores)):
        return 0.0
    t = (metric.adapter - claimed) / (spread * math.sqrt(1 / rows + 1 / claimed_rows))
    # The normal deviate of Student's t (Wallace 1959).
    freedom = rows - 1
    z = math.sqrt(freedom * math.log1p(t * t / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)
    return 1 - NormalDist().cdf(z)


def _claim(entry: Any, data: Mapping[str, Any], rows_name: str) -> Claim | None:
    value = _number(entry.get("value")) if isinstance(entry, dict) else None
    if value is None:
        return None
    name, (number, half) = _name(entry), value
    if number > 1 and name not in LOSSES:
        number, half = number / 100, half / 100
    label = " ".join(str(entry.get("type")).split())[:40]
    return Claim(name, label, number, half, _rows(entry) or _rows(data), _other_data(data, rows_name))


def _name(entry: Mapping[str, Any]) -> str:
    """Return the canonical name of a metric: "Exact Match" and em are one, as are f1_macro and "Macro F1"."""
    letters = _letters(entry.get("type"))
    arguments = entry.get("args")
    average = arguments.get("average") if isinstance(arguments, dict) else ""
    if "f1" in letters:
        every = letters + _letters(average) + _letters(entry.get("name"))
        return next((name for name in AVERAGES if name in every), "") + "f1"
    return ALIASES.get(letters, letters)


def _letters(name: Any) -> str:
    """Return letters and digits in lower case, without what trainers write around the name of a metric."""
    letters = re.sub(r"[^a-z0-9]", "", str(name or "").lower())
    return AROUND.sub("", letters)


def _number(value: Any) -> tuple[float, float] | None:
    """Return a card's value, which may be "97.5 %", and half of its last digit; None if it cannot be a measurement."""
    text = value.strip().rstrip("%").strip() if isinstance(value, str) else repr(value)
    try:
        number = float(text)
    except ValueError:
        return None
    if not abs(number) < MOST:
        return None
    digits = len(text.partition(".")[2]) if "e" not in text.lower() else 6
    return number, min(0.5 * 10.0**-digits, ROUNDING * (100 if number > 1 else 1))


def _other_data(data: Mapping[str, Any], rows_name: str) -> str:
    """Return the name of the data set that a claim is about if these rows are not of it, else "".

    A claim that names none is about the rows that its author puts beside the adapter.
    """
    names = [name.strip() for key in ("type", "name") if isinstance(name := data.get(key), str) and name.strip()]
    own, commit = rows_name.casefold().partition("@")[::2]
    parts = [str(data[key]) for key in ("config", "split") if data.get(key)]
    revision = str(data.get("revision") or "")
    if commit:  # rows that a data set of the hub lends: the whole of its smoke.jsonl at that commit
        is_same = any(name.casefold() == own or name.casefold().endswith(f"/{own}") for name in names)
        is_whole = all(_letters(part) in ("default", *OWN_ROWS) for part in parts)
        is_at = revision in ("", "main") or revision.startswith(commit) or commit.startswith(revision)
        if is_same and is_whole and is_at:
            return ""
    elif not names or any(_letters(name) in OWN_ROWS for name in names):
        return ""
    whole = " ".join([*(names[:1] or ["rows that it does not name"]), *parts, *([revision[:12]] if commit else [])])
    return " ".join(whole.split())[:80]


def _entries(card: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each metric of a model-index with its data set."""
    for model in _list(card.get("model-index")):
        for result in _list(model.get("results")) if isinstance(model, dict) else ():
            for entry in _list(result.get("metrics")) if isinstance(result, dict) else ():
                yield entry, result.get("dataset")


def _rows(entry: Mapping[str, Any]) -> int | None:
    """Return the number of rows, as `num_examples` in the args of a metric or a data set."""
    arguments = entry.get("args")
    rows = arguments.get("num_examples") if isinstance(arguments, dict) else None
    return rows if type(rows) is int and 0 < rows < MOST else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
