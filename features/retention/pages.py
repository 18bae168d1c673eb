"""Rules of retention on the website: what one would remove, setting it, and taking files back.

A rule is tried before it is set: the page lists the versions that lose their files.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from features.retention import expiry, verbs
from features.retention.verbs import MOST_DAYS, MOST_VERSIONS, Limits
from hub.site import routing
from hub.site.account.storage import storage_page
from hub.site.forms import Form, Posts
from hub.site.panels import Link, Pages, Panel
from hub.site.repository.repository_header import RepositoryHeader, header_of
from hub.site.visitor import caller, person
from registry.kernel import capacity
from registry.kernel.policy import Permission
from registry.kernel.texts.cursors import row_id


class Retention(Form):
    keep_last = forms.IntegerField(
        label=_("Versions kept"),
        help_text=_("The newest of each branch."),
        min_value=1,
        max_value=MOST_VERSIONS,
        initial=20,
    )
    keep_days = forms.IntegerField(
        label=_("Days"),
        help_text=_("Younger versions stay, however many."),
        min_value=1,
        max_value=MOST_DAYS,
        initial=7,
    )

    def limits(self) -> Limits:
        """Return the numbers of a valid form."""
        return Limits(self.cleaned_data["keep_last"], self.cleaned_data["keep_days"])


@require_safe
def retention_page(request: HttpRequest, address: routing.RepositoryAddress) -> HttpResponse:
    """Show the rule in force and what it removes; with numbers in the query, what another rule would."""
    header = header_of(request, address, Permission.ARCHIVE)
    return _page(request, header, Retention(request.GET) if "keep_last" in request.GET else None)


def restore(request: HttpRequest, address: routing.RepositoryAddress) -> HttpResponse:
    """Take back the files of one version, or of all whose files are in the bin."""
    header = header_of(request, address, Permission.CONFIGURE)
    oid = request.POST.get("revision", "")
    with capacity.place():
        restored = expiry.restore(header.repository, caller(request), oid)
    count = restored.versions
    sentence = ngettext(
        "{count} version got its files back; no rule will remove them.",
        "{count} versions got the files back; no rule removes them.",
        count,
    )
    text = sentence.format(count=count)
    if restored.left:
        more = gettext("{count} more are still in the bin: restore them again.")
        text += f" {more.format(count=restored.left)}"
    messages.success(request, text)
    return redirect("commit", header.repository, oid) if oid else redirect("retention", header.repository)


def _page(request: HttpRequest, header: RepositoryHeader, form: Retention | None = None) -> HttpResponse:
    limits = form.limits() if form is not None and form.is_valid() else None
    preview = expiry.preview(header.repository, limits)
    set_now = {"keep_last": preview.limits.keep_last, "keep_days": preview.limits.keep_days}
    form = form or Retention(initial=set_now if preview.limits.keep_last else None)
    context = {"header": header, "tab": "settings", "preview": preview, "form": form, "tried": limits}
    return render(request, "retention/rule.html", context, status=form.status)


CONFIGURE = Posts(
    partial(header_of, permission=Permission.CONFIGURE), _page, lambda header: redirect("retention", header.repository)
)
set_rule = CONFIGURE.form(
    "form",
    Retention,
    lambda header, given, by: verbs.set_rule(header.repository, by, Limits(**given)),
    done=_("The rule is saved. It applies within the hour."),
)
keep_all = CONFIGURE.button(  # whatever the rule of the owner says
    lambda header, by: verbs.set_rule(header.repository, by, Limits(None)), done=_("Every version is kept.")
)
clear = CONFIGURE.button(
    lambda header, by: verbs.clear_rule(header.repository, by), done=_("The rule of this repository is removed.")
)


# --- of an owner -----------------------------------------------------------------------------------------------------
@require_safe
def owner_retention_page(request: HttpRequest, ns: str) -> HttpResponse:
    """Show what the numbers in the query, or those of the rule in force, remove from each repository of an owner."""
    person(request)
    namespace = verbs.require_owner(ns, caller(request), writing=False)
    rule = verbs.own_rule(namespace)
    tried = Limits(rule.keep_last, rule.keep_days) if rule else Limits(20, 7)
    form = Retention(request.GET if "keep_last" in request.GET else asdict(tried), auto_id=f"%s-{namespace.pk}")
    if not form.is_valid():
        return storage_page(request, {str(namespace.pk): form})
    preview = expiry.preview_owner(namespace, form.limits(), after=row_id(request.GET.get("after", "")))
    context = {"namespace": namespace, "preview": preview, "tried": form.limits(), "rule": rule}
    return render(request, "retention/owner.html", context)


def set_owner_rule(request: HttpRequest, ns: str) -> HttpResponse:
    person(request)
    namespace = verbs.require_owner(ns, caller(request))
    form = Retention(request.POST, auto_id=f"%s-{namespace.pk}")
    if form.is_valid():
        with form:
            verbs.set_owner_rule(namespace.name, caller(request), form.limits())
            sentence = gettext("The rule of {name} is saved. It applies within the hour.")
            messages.success(request, sentence.format(name=namespace.name))
            return redirect("usage")
    return storage_page(request, {str(namespace.pk): form})


def clear_owner_rule(request: HttpRequest, ns: str) -> HttpResponse:
    person(request)
    verbs.clear_owner_rule(ns, caller(request))
    messages.success(request, gettext("The rule of {name} is removed.").format(name=ns))
    return redirect("usage")


def _of_owner(page: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the rule of the owner whose usage the page shows, with the form that sets one, or the refused one."""
    namespace = page["owner"].namespace
    rule = verbs.own_rule(namespace)
    initial = {"keep_last": rule.keep_last, "keep_days": rule.keep_days} if rule else None
    refused = page.get("refused", {}).get(str(namespace.pk))
    return {"rule": rule, "form": refused or Retention(initial=initial, auto_id=f"%s-{namespace.pk}")}


def _bin(page: Mapping[str, Any]) -> Mapping[str, object]:
    return {"restorable_until": expiry.restorable_until(page["header"].revision)}


RULE, OF_OWNER = "<repository:address>/settings/retention", "settings/usage/retention/<str:ns>"
PAGES = Pages(
    routes=[
        routing.at(RULE, retention_page, "retention"),
        *routing.forms(
            "retention",
            RULE,
            ("set", set_rule, "set-retention"),
            ("keep-all", keep_all, "keep-all-versions"),
            ("clear", clear, "clear-retention"),
            ("restore", restore, "restore-versions"),
        ),
        routing.at(OF_OWNER, owner_retention_page, "owner-retention"),
        *routing.forms(
            "usage",
            "settings/usage",
            ("retention/<str:ns>/set", set_owner_rule, "set-owner-retention"),
            ("retention/<str:ns>/clear", clear_owner_rule, "clear-owner-retention"),
        ),
    ],
    links=(Link("repository", "retention", _("Versions kept"), place=30),),
    panels=(
        Panel("usage", "retention/usage.html", _of_owner),
        Panel("expired", "retention/expired.html", _bin),
    ),
)
