"""A comparison as pages show it: weights (a number, layers, a map of modules), metrics, and all in one sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext

from dovetail.adapters.results.report import Evaluation, Report
from dovetail.adapters.shapes import weight_changes
from dovetail.adapters.shapes.weight_changes import Change, Names
from features.compare import comparisons
from features.compare.comparisons import Conclusion, Entries, EvaluationChange, WeightsChange
from hub.site.measures import chance, number, percent, score, size
from hub.site.pictures.heat_map import HeatMap, heat_map
from hub.site.repository.repository_header import RepositoryHeader
from registry.kernel.errors import RegistryError

MAX_FILES, MAX_NAMES, MAX_CHANGES = 2, 50, 12
NOTHING = Names((), (), (), ())


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """One file that two revisions have; `state` is same, compared, waiting or unknown."""

    file: WeightsChange
    relative: float | None  # the length of the difference by the length before, all modules together
    layers: list[tuple[str, float | None]]
    heat: HeatMap | None

    @property
    def path(self) -> str:
        return self.file.path

    @property
    def state(self) -> str:
        return self.file.state

    @property
    def problem(self) -> str:
        return self.file.compared.problem

    @property
    def names(self) -> Names:
        return self.file.compared.names or NOTHING

    @property
    def counts(self) -> list[str]:
        """The numbers of tensors that were added, removed and so on, in words, without those that are 0."""
        names = self.names
        added, removed, reshaped, retyped = map(len, (names.added, names.removed, names.reshaped, names.retyped))
        counted = [
            (added, ngettext("{count} tensor added", "{count} tensors added", added)),
            (removed, ngettext("{count} tensor removed", "{count} tensors removed", removed)),
            (reshaped, ngettext("{count} tensor of another shape", "{count} tensors of another shape", reshaped)),
            (retyped, ngettext("{count} tensor of another type", "{count} tensors of another type", retyped)),
        ]
        return [words.format(count=number(count)) for count, words in counted if count]

    @property
    def largest(self) -> list[Change]:
        """The modules that changed most, those first that were zero before."""
        return self.file.changes[:MAX_CHANGES]

    @property
    def not_finite(self) -> list[Change]:
        """The modules with NaN or infinity before or after, which cannot be compared."""
        return [change for change in self.file.changes if change.length is None]

    @property
    def largest_layer(self) -> tuple[str, float] | None:
        """The layer that moved most, if any moved."""
        value, name = max(((value or 0.0, name) for name, value in self.layers), default=(0.0, ""))
        return (name, value) if value else None


def compared_files(old: Entries, new: Entries, only: str = "") -> Iterator[ComparedFile]:
    """Yield the first weight files that both have; one of these with `only`. Raises StoreUnavailable."""
    for file in comparisons.weights_changes(old, new, MAX_FILES, only):
        values = {change.module: change.growth for change in file.changes}
        layers = weight_changes.by_layer(file.changes)
        yield ComparedFile(
            file, weight_changes.together(file.changes), layers, heat_map(values, percent, is_signed=True)
        )


LETTERS = "ABCD"  # one for each side; more would not fit beside each other
DOUBTFUL = 0.05  # a chance below it is no proof, and no reason to call two equal
SMALLER = 1.2  # times: a difference of sizes that is worth a word


@dataclass(frozen=True, slots=True)
class Side:
    """One column of the page; `refusal` says why nothing of its files is shown to this visitor."""

    letter: str
    header: RepositoryHeader
    refusal: RegistryError | None

    @property
    def report(self) -> Report | None:
        return self.header.proof.report if self.header.proof else None

    @property
    def id(self) -> str:
        """Its name and commit, as the address of a comparison has them."""
        return f"{self.header.repository.full_name}@{self.header.revision.oid}"


def colour_of(change: EvaluationChange) -> str:
    """Return `passed` or `failed` for what the paired test finds better or worse, "" for what it does not tell."""
    return {"better": "passed", "worse": "failed"}.get(change.outcome, "")


def word_of(change: EvaluationChange) -> str:
    """Return why a difference has no colour, or why there is none; "" for one that has a colour."""
    if change.change is None:
        before, after = change.before, change.after
        if not before or not after:
            return ""
        if before.asked != after.asked:
            return gettext("measured with another metric")
        return gettext("on other rows") if before.rows != after.rows else gettext("on another base")
    if not change.change:
        return gettext("unchanged")
    if colour_of(change):
        return ""
    return gettext("within chance") if change.outcome else gettext("not tested")


@dataclass(frozen=True, slots=True)
class Headline:
    """The conclusion of a comparison in words, and the index of the side to use, None if neither is better."""

    words: str
    chosen: int | None
    conclusion: Conclusion
    alike: str  # the letters of the sides that compare, where not all do


def headline(
    reports: Sequence[Report | None],
    sizes: Sequence[int],
    more: Sequence[Sequence[Evaluation]] = (),
    *,
    kept: int | None,
) -> Headline:
    """Return which side to use and why: one that passed, that measured better beyond chance, else one that is smaller.

    `sizes` are in bytes, and `more` is as `comparisons.conclude` takes it. Of versions, `kept` is the older one.
    """
    passed, alike = [at for at, report in enumerate(reports) if report and report.is_passed], ""
    found = comparisons.conclude(reports, more)
    if len(passed) == len(reports):
        words, chosen = _measured_words(found, sizes, kept)
        if found.outcome not in comparisons.COMPARES and (some := comparisons.alike(reports, more)):
            part = comparisons.conclude([reports[at] for at in some], [more[at] for at in some] if more else ())
            letters = "".join(LETTERS[at] for at in some)
            measured, _ = _measured_words(part, [sizes[at] for at in some], None, letters)
            apart = [_apart_from(at, some, reports) for at in range(len(reports)) if at not in some]
            words, alike = " ".join([*apart, measured]), letters
    else:
        words, chosen = _unpassed_words(reports), passed[0] if len(passed) == 1 else None
    if chosen is not None:
        advice = gettext("Keep {letter}.") if chosen == kept else gettext("Use {letter}.")
        words = f"{words} {advice.format(letter=LETTERS[chosen])}"
    return Headline(words, chosen, found, alike)


def _unpassed_words(reports: Sequence[Report | None]) -> str:
    failed = [LETTERS[at] for at, report in enumerate(reports) if report and report.state == "failed"]
    open_ = [LETTERS[at] for at, report in enumerate(reports) if not report or report.state not in ("passed", "failed")]
    said = []
    if failed:
        words = ngettext("{sides} failed its checks.", "{sides} failed their checks.", len(failed))
        said.append(words.format(sides=_joined(failed)))
    if open_:
        words = ngettext("{sides} has no verdict yet.", "{sides} have no verdict yet.", len(open_))
        said.append(words.format(sides=_joined(open_)))
    return " ".join(said)


def _measured_words(
    found: Conclusion, sizes: Sequence[int], kept: int | None, letters: str = LETTERS
) -> tuple[str, int | None]:
    """Return what the measurements say of sides with these letters, and the side to use."""
    if found.outcome not in comparisons.COMPARES:
        return _apart_words(found), None
    values = [side.evaluation for side in found.sides if side]
    best, numbers = values[found.best], [score(value.adapter, value.rows) for value in values]
    others = [at for at in range(len(values)) if at != found.best]
    said = {
        "metric": best.metric,
        "values": _joined(numbers),
        "rows": number(round(best.rows)),
        "p": chance(found.p or 0.0),
        "best": letters[found.best],
        "value": numbers[found.best],
        "others": _joined([letters[at] for at in others]),
        "other_values": _joined([numbers[at] for at in others]),
    }
    if found.outcome == "untested":
        words = gettext(
            "{metric} is {values} on the same {rows} rows, but without numbers row by row nothing tells a difference "
            "from chance."
        )
        return capfirst(words.format(**said)), None
    times = _times(sizes[found.best], max(sizes[at] for at in others))
    if found.outcome == "better":
        words = gettext("{best} is better than {others}: {metric} {value} against {other_values} ({p}, {rows} rows).")
        if times:
            words = gettext(
                "{best} is better than {others} and {times}: "
                "{metric} {value} against {other_values} ({p}, {rows} rows)."
            )
        return words.format(**said, times=times), found.best
    least = min(found.level, key=lambda at: sizes[at])
    doubt = found.chances[least]
    more_rows = gettext("Too few rows to tell: measure on more.")
    is_close = doubt is not None and doubt < DOUBTFUL  # more rows might find the smallest one worse
    if len(sizes) > 2:
        beaten = [letters[at] for at in others if at not in found.level]
        near = [letters[at] for at in others if at in found.level]
        words = gettext("None is better beyond chance: {metric} {values} on the same {rows} rows ({p}).")
        smallest = gettext("{letter} is the smallest ({size}).")
        if beaten:
            words = gettext(
                "{best} is better than {beaten} and within chance of {near}: {metric} {values} on the same {rows} rows."
            )
            smallest = gettext("{letter} is the smallest of those that are level ({size}).")
        words = words.format(**said, beaten=_joined(beaten), near=_joined(near))
        if not _times(sorted(sizes[at] for at in found.level)[1], sizes[least]):
            return words, None
        words = f"{words} {smallest.format(letter=letters[least], size=size(sizes[least]))}"
        return (f"{words} {more_rows}", None) if is_close else (words, least)
    if times := _times(max(sizes), sizes[least]):
        words = gettext("{large} is {times} and not better beyond chance ({p} on the same {rows} rows).")
        words = words.format(**said, large=letters[1 - least], times=times)
        return (f"{words} {more_rows}", None) if is_close else (words, least)
    words = gettext("Neither is better beyond chance: {metric} {values} on the same {rows} rows ({p}).")
    return words.format(**said), kept


def _apart_words(found: Conclusion) -> str:
    """Return why the measurements of the sides do not compare."""
    if found.outcome == "not-measured":
        letters = [letter for letter, value in zip(LETTERS, found.sides, strict=False) if value is None]
        return gettext("There is no score of {sides} to compare.").format(sides=_joined(letters))
    every = _joined(LETTERS[: len(found.sides)])
    words = {
        "other-tasks": gettext("{sides} are measured by different tasks or metrics: their numbers do not compare."),
        "other-bases": gettext("{sides} run on different bases, whose losses count other tokens: they do not compare."),
        "other-rows": gettext("{sides} were measured on different rows: their numbers do not compare."),
    }
    return words[found.outcome].format(sides=every)


def _apart_from(at: int, alike: Sequence[int], reports: Sequence[Report | None]) -> str:
    """Return why one side does not compare with those that do, by their indexes."""
    words = {
        "not-measured": gettext("{letter} has no score to compare."),
        "other-tasks": gettext("{letter} was measured by another task or metric than {alike}."),
        "other-bases": gettext("{letter} runs on another base than {alike}."),
    }
    why = comparisons.conclude([reports[alike[0]], reports[at]]).outcome
    found = words.get(why, gettext("{letter} was measured on other rows than {alike}."))
    return found.format(letter=LETTERS[at], alike=_joined([LETTERS[one] for one in alike]))


def _times(large: int, small: int) -> str:
    """Return how much larger the first is in words; "" where the difference is not worth any."""
    if not small or large <= SMALLER * small:
        return ""
    if large >= 1.95 * small:
        return gettext("{times} times as large").format(times=number(round(large / small)))
    return gettext("{share} larger").format(share=percent(large / small - 1))


def _joined(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: A, B and C."""
    if len(words) < 2:
        return "".join(words)
    return gettext("{first} and {last}").format(first=", ".join(words[:-1]), last=words[-1])
