"""The score of a verdict: how much better the adapter measured than what it starts from, comparable between metrics."""

from collections.abc import Iterable

from dovetail.adapters.results.report import Evaluation, Report
from registry.models import Repository, Verdict
from registry.repos.refs import VERIFIED

NOT_MEASURED = Repository.NOT_MEASURED
_WORST = -0.999


def score_of(report: Report) -> float:
    """Return the gain of the deciding metric over what the adapter starts from, and NOT_MEASURED without one.

    A metric where higher is better gives the difference (accuracy 0.5 to 0.9 is 0.4), one where lower is better the
    share of the start's value that is gone (perplexity 20 to 15 is 0.25).
    """
    metric = deciding(report)
    return NOT_MEASURED if metric is None else gain_of(metric)


def gain_of(metric: Evaluation) -> float:
    """Return the gain of a metric that has a number of the adapter, as `score_of` says it."""
    start = start_of(metric)
    gain = (metric.adapter or 0.0) - start
    if metric.better == "lower":
        gain = -gain / start if start else 0.0
    return max(_WORST, gain)


def start_of(metric: Evaluation) -> float:
    """Return the number without the adapter: of its own trained head on the frozen base, else of the frozen base."""
    return (metric.base or 0.0) if metric.head_alone is None else metric.head_alone


def deciding(report: Report) -> Evaluation | None:
    """Return the metric that decides: the first one of both the adapter and the frozen base."""
    return next((one for one in report.evals if one.base is not None and one.adapter is not None), None)


def verified_verdicts(repositories: Iterable[Repository]) -> dict[int, Verdict]:
    """Return repository id → newest decided verdict of what `verified` names; one query."""
    rows = Verdict.objects.filter(
        revision__refs__name=VERIFIED, revision__repository__in=list(repositories), state__in=Verdict.DECIDED
    )
    newest_last = rows.select_related("revision").order_by("number")
    return {verdict.revision.repository_id: verdict for verdict in newest_last}
