"""The parameters of lists of repositories: the website and REST take the same ones and check them in the same way.

REST refuses what is wrong (hub/api/pages.py). A page says what is wrong, and shows the list of the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import QueryDict
from django.utils import translation
from rest_framework import serializers as s

from dovetail.adapters.serving import ENGINES
from registry.models import Verdict
from registry.repos.lists import search_terms
from registry.repos.lists.catalog import MAX_WISHES, SORTS, Query


class _OneOf(s.ChoiceField):
    """A choice that takes a former spelling for that of today."""

    def __init__(self, choices: Any, former: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(choices, **more)
        self._former = former or {}

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(self._former.get(data, data) if isinstance(data, str) else data)


def one_of(choices: Sequence[str | tuple[str, str]], **more: Any) -> s.ChoiceField:
    """Return a field for one of these values, which may have labels; its refusal names them."""
    values = ", ".join(choice if isinstance(choice, str) else choice[0] for choice in choices)
    return _OneOf(choices, error_messages={"invalid_choice": f"{{input}} is none of {values}."}, **more)


ROUTES = {"model": "adapters", "dataset": "datasets", "space": "spaces"}  # the names of the catalogue's pages


class Search(s.Serializer[Any]):
    """The filters of a search: repeated parameters are alternatives, different ones must all hold."""

    q = s.CharField(required=False, help_text="words", max_length=200)
    base = s.ListField(child=s.CharField(), required=False, help_text="namespace/name; any of its names")
    base_revision = s.ListField(
        child=s.CharField(), required=False, help_text="of the base: as adapters name it, else as here"
    )
    target = s.ListField(child=s.CharField(), required=False, help_text="a module that the adapter changes: q_proj …")
    kind = s.ListField(child=s.CharField(), required=False)
    task = s.ListField(child=s.CharField(), required=False)
    license = s.ListField(child=s.CharField(), required=False)
    engine = s.ListField(
        child=one_of([engine.name for engine in ENGINES]),
        required=False,
        help_text="what serves it (docs/serving.md)",
    )
    verdict = s.ListField(child=one_of(Verdict.State.values), required=False)
    author = s.ListField(child=s.CharField(), required=False)
    tag = s.ListField(child=s.CharField(), required=False)
    language = s.ListField(child=s.CharField(), required=False, help_text="as the card names it: en, de …")
    rank_min = s.IntegerField(required=False, min_value=0)
    rank_max = s.IntegerField(required=False, min_value=0)
    size_min = s.IntegerField(required=False, min_value=0, help_text="bytes")
    size_max = s.IntegerField(required=False, min_value=0, help_text="bytes")
    source = s.ListField(  # type: ignore[assignment]  # a field of that name is no attribute of the class
        child=one_of(["upstream"]), required=False, help_text="upstream: those alone that are read from other hubs"
    )
    archived = s.ListField(child=one_of(["hide"]), required=False, help_text="hide: leave out what is archived")
    sort = one_of(
        list(SORTS),
        required=False,
        help_text="without it relevance where q is, else updated; the most or best first; score: the gain over its own "
        "head or the base, on rows of its own",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {"sort": search_terms.NAME, **attrs} if attrs.get("q") else attrs


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as an address asks for it: `params` are the right ones, `problems` has a sentence for each other one."""

    query: Query
    params: QueryDict
    problems: tuple[str, ...]


def forgiving(given: QueryDict, type: str, besides: Sequence[str] = ()) -> Asked:
    """Return what an address asks for, without what is wrong in it; `besides` are parameters that pages know too."""
    params, problems, known = QueryDict(mutable=True), [], Search().fields
    for name, values in given.lists():
        if name in known:
            chosen = [value for value in dict.fromkeys(values) if value.strip()]
            params.setlist(name, chosen[:MAX_WISHES])
            if len(chosen) > MAX_WISHES:
                problems.append(f"Of {name!r} only the first {MAX_WISHES} values hold.")
            elif not chosen:
                del params[name]
        elif name not in besides:
            problems.append(f"There is no filter {name[:40]!r}. Known are {', '.join(sorted(known))}.")
    checked = Search(data=params)
    with translation.override(settings.LANGUAGE_CODE):  # its errors become a part of our English sentences
        is_right = checked.is_valid()
    if not is_right:
        problems += _take_out_wrong(params, checked.errors)
        checked = Search(data=params)
        checked.is_valid(raise_exception=True)
    return Asked(Query(type=type, **checked.validated_data), params, tuple(problems))


def _take_out_wrong(params: QueryDict, errors: Mapping[str, Any]) -> list[str]:
    """Remove the values that are wrong, and return a sentence about each; errors of a list are by the place in it."""
    sentences = []
    for name, wrong in errors.items():
        values = params.getlist(name)
        by_place = wrong if isinstance(wrong, Mapping) else {len(values) - 1: wrong}
        right = [value for at, value in enumerate(values) if at not in by_place] if isinstance(wrong, Mapping) else []
        params.setlist(name, right)
        if not right:
            del params[name]
        sentences += [f"The filter {name!r} was left out: {' '.join(map(str, said))}" for said in by_place.values()]
    return sentences
