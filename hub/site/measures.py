"""Sizes, counts, shares and times as pages show them to people, with the separators of the page's language.

Numbers that a template shows as they are keep the decimal point (hub/formats): drawings and attributes need it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

from django.utils import timezone
from django.utils.formats import date_format, iter_format_modules
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

from registry.kernel.texts.phrases import size_in_words


def localized(number: str) -> str:
    """Return a number that Python wrote, `1,204.5`, as the language of the page writes it: `1.204,5` in German."""
    return number.translate(_separators(get_language() or "en"))


@cache
def _separators(language: str) -> Mapping[int, str]:
    """Return the separators of a language for those of Python; Django knows them."""
    for known in iter_format_modules(language, "django.conf.locale"):  # past hub/formats
        return str.maketrans({",": known.THOUSAND_SEPARATOR, ".": known.DECIMAL_SEPARATOR})
    return {}


def size(count: int | None) -> str:
    """Bytes in decimal units, as clients show them: 306 kB."""
    return localized(size_in_words(count or 0))


def signed_size(difference: int) -> str:
    """A difference of bytes, with its sign."""
    return f"{'+' if difference > 0 else '−'}{size(abs(difference))}"


def number(value: float | None) -> str:
    """A count with separators; a measure with at most four significant figures."""
    if not isinstance(value, int | float):
        return "–"
    if isinstance(value, int):
        return localized(f"{value:,}")
    if value == 0 or 0.01 <= abs(value) < 10:
        return localized(f"{value:.2f}" if round(value, 2) == round(value, 4) else f"{value:.4g}")
    return localized(f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}")


def score(value: float | None, rows: float | None) -> str:
    """A measure of so many rows, with the digits that they allow: two of fewer than a hundred."""
    if not isinstance(value, int | float) or not 0 <= abs(value) <= 1 or not rows:
        return number(value)
    return decimals(value, 2 if rows < 100 else 3)


def signed_score(value: float, rows: float | None) -> str:
    """A difference of such measures, with its sign."""
    return f"+{score(value, rows)}" if value > 0 else score(value, rows)


def number_range(values: Sequence[float]) -> str:
    """A measure with the ends of its interval: `0.92 (0.73 to 0.99)`; without these alone, "" for none."""
    if len(values) < 3:
        return number(values[0]) if values else ""
    value, low, high = map(number, values)
    return gettext("{value} ({low} to {high})").format(value=value, low=low, high=high)


def signed(value: float) -> str:
    """A difference, with its sign."""
    return f"+{number(value)}" if value > 0 else number(value)


def chance(p: float) -> str:
    """The chance of a difference among equals; exact numbers below a thousandth say nothing more."""
    return localized(f"p = {p:.2g}") if p >= 0.001 else localized("p < 0.001")


def decimals(value: float, places: int) -> str:
    """A number with so many decimal places."""
    return localized(f"{value:,.{places}f}")


def percent(share: float | None) -> str:
    """Return a share of 1 in percent with two digits that count: 0.0123 as `1.2 %`."""
    if share is None:
        return ""
    value = 100 * share
    return localized(f"{value:,.0f} %" if abs(value) >= 10 or not value else f"{value:.2g} %")


def percent_range(percents: tuple[float, float]) -> str:
    """Return the least and the most of some percents: `0.3 % to 1.2 %`, or one of them where they read the same."""
    low, high = (percent(value / 100) for value in percents)
    return low if low == high else gettext("{low} to {high}").format(low=low, high=high)


def milliseconds(value: float | None) -> str:
    """A duration for a table column headed ms."""
    if not isinstance(value, int | float):  # a template's missing value is an empty text
        return "–"
    if 0 <= value < 0.05:
        return localized("<0.1")
    return localized(f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}")


def seconds(value: float | None) -> str:
    """Milliseconds as seconds: 0.41 s, and whole ones from ten on."""
    return f"{decimals(value / 1000, 2 if value < 10_000 else 0)} s" if isinstance(value, int | float) else "–"


def ago(at: datetime | None) -> SafeString | str:
    """A relative time, with the absolute one on hover and for machines."""
    if at is None:
        return gettext("never")
    absolute = at.astimezone(timezone.get_default_timezone())
    shown = _relative((timezone.now() - at).total_seconds(), at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        absolute.isoformat(timespec="seconds"),
        f"{date_format(absolute, gettext('j F Y, H:i'))} {absolute.tzname()}",
        shown,
    )


def _relative(age: float, at: datetime) -> str:
    days = int(age // 86_400)
    if age < -60 or days >= 30:
        return date_format(at, gettext("j M Y"))
    if age < 45:
        return gettext("just now")
    if age < 3600:
        return gettext("{count} min ago").format(count=max(1, round(age / 60)))
    if age < 86_400:
        return gettext("{count} h ago").format(count=max(1, round(age / 3600)))
    if days == 1:
        return gettext("yesterday")
    return gettext("{count} days ago").format(count=days)
