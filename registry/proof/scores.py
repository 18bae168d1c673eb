"""The score of a verdict: how much better the adapter measured than the frozen base, comparable between metrics."""

from collections.abc import Iterable

from django.db.models import QuerySet

from dovetail.adapters.report import Evaluation, Report
from registry.models import Repository, Verdict
from registry.repos.refs import VERIFIED

NOT_MEASURED = Repository.NOT_MEASURED
_WORST = -0.999


def score_of(report: Report) -> float:
    """Return the gain of the deciding metric over the frozen base, and NOT_MEASURED without one.

    A metric where higher is better gives the difference (accuracy 0.5 to 0.9 is 0.4), one where lower is better the
    share of the base's value that is gone (perplexity 20 to 15 is 0.25).
    """
    metric = deciding(report)
    if metric is None or metric.base is None or metric.adapter is None:
        return NOT_MEASURED
    if metric.better == "higher":
        gain = metric.adapter - metric.base
    else:
        gain = (metric.base - metric.adapter) / metric.base if metric.base else 0.0
    return max(_WORST, gain)


def deciding(report: Report) -> Evaluation | None:
    """Return the metric that decides: the first one of both the adapter and the frozen base."""
    return next((one for one in report.evals if one.base is not None and one.adapter is not None), None)


def verdicts_of_verified(repositories: Iterable[Repository]) -> QuerySet[Verdict]:
    """Return the finished verdicts of what `verified` names in these repositories."""
    return Verdict.objects.filter(
        revision__refs__name=VERIFIED, revision__repository__in=list(repositories), finished_at__isnull=False
    )


def verified_verdicts(repositories: Iterable[Repository]) -> dict[int, Verdict]:
    """Return repository id → newest finished verdict of what `verified` names; one query."""
    newest_last = verdicts_of_verified(repositories).select_related("revision").order_by("number")
    return {verdict.revision.repository_id: verdict for verdict in newest_last}
