"""The other forms of a version: its sources, what was derived of it, and for people the form that asks for more."""

from typing import Any

from django.http import QueryDict

from dovetail.adapters import convert
from hub.site.forms.derived import Derive
from hub.site.proof.proof import document
from hub.site.repository.repository_header import RepositoryHeader
from registry.models import DerivedVersion, Repository, Verdict
from registry.publish.made import derived_versions
from registry.publish.made.derived_versions import is_merge


def lineage(header: RepositoryHeader, form: Derive | None = None) -> dict[str, Any]:
    """Return what the page of a version shows: where it comes from, what was made of it, and the form."""
    if header.repository.type != Repository.Type.MODEL:
        return {}
    origin = derived_versions.made_of(header.revision)
    derived = _with_verdicts(derived_versions.made_from(header.revision, header.by))
    return {
        "made_of": origin,
        "made_of_sources": derived_versions.shown_sources(origin, header.by) if origin else [],
        "derived": derived,
        "derived_waits": any(not row.is_final for row, _ in derived),
        "derive_form": form or _derive_form(header),
        "may_merge": _may_merge(header),
    }


def of(header: RepositoryHeader) -> dict[str, Any]:
    """Return the forms of a version, and for people the form that asks for more."""
    if header.repository.type != Repository.Type.MODEL:
        return {}
    forms = [row for row in derived_versions.made_from(header.revision, header.by) if not is_merge(row)]
    return {
        "other_forms": _with_verdicts(forms),
        "derive_form": _derive_form(header),
        "may_merge": _may_merge(header),
    }


def derive_form(header: RepositoryHeader, data: QueryDict | None = None) -> Derive:
    """Return the form with what can be made of the version, as far as its format tells."""
    family = str(header.described["format"])
    formats = convert.results_of(family, header.entries)
    has_branch = header.may_write and not header.repository.source
    return Derive(data, formats=formats, has_branch=has_branch, family=family)


def _derive_form(header: RepositoryHeader) -> Derive | None:
    """Return the form; None for strangers, and where nothing can be made."""
    form = derive_form(header) if header.by.user is not None else None
    return form if form and form.formats else None


def _may_merge(header: RepositoryHeader) -> bool:
    return header.by.user is not None and header.described["format"] == "peft"


def _with_verdicts(rows: list[DerivedVersion]) -> list[tuple[DerivedVersion, Any]]:
    """Return each row with its newest verdict, as pages show it."""
    done = [row.revision_id for row in rows if row.revision_id]
    newest = Verdict.objects.filter(revision__in=done).order_by("number") if done else []
    verdicts = {verdict.revision_id: document(verdict) for verdict in newest}
    return [(row, verdicts.get(row.revision_id or 0)) for row in rows]
