"""Rules of retention on the website: what one would remove, setting it, and taking files back.

A rule is tried before it is set: the page lists the versions that lose their files.
"""

from dataclasses import asdict

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from hub.site.account.usage import usage_page
from hub.site.converters import RepositoryAddress
from hub.site.forms.retention import Retention
from hub.site.repository.finding_headers import header_of
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.visitor import caller, person
from registry.kernel.limits import long_requests
from registry.kernel.policy import Permission
from registry.kernel.texts.cursors import row_id
from registry.publish.retention import expiring, expiring_views, retention
from registry.publish.retention.retention import Limits


@require_safe
def retention_page(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Show the rule in force and what it removes; with numbers in the query, what another rule would."""
    header = header_of(request, address, Permission.ARCHIVE)
    return _page(request, header, Retention(request.GET) if "keep_last" in request.GET else None)


@require_POST
def set_rule(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    form = Retention(request.POST)
    if form.is_valid():
        with form:
            retention.set_rule(header.repository, caller(request), form.limits())
            messages.success(request, gettext("The rule is set. It is applied within the hour."))
            return redirect("retention", header.repository)
    return _page(request, header, form)


@require_POST
def keep_all(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Keep every version of this repository, whatever its owner's rule says."""
    header = header_of(request, address, Permission.CONFIGURE)
    retention.set_rule(header.repository, caller(request), Limits(None))
    messages.success(request, gettext("Every version is kept."))
    return redirect("retention", header.repository)


@require_POST
def clear(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    retention.clear_rule(header.repository, caller(request))
    messages.success(request, gettext("The rule of this repository is removed."))
    return redirect("retention", header.repository)


@require_POST
def restore(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Take back the files of one version, or of all whose files are in the bin."""
    header = header_of(request, address, Permission.CONFIGURE)
    oid = request.POST.get("revision", "")
    with long_requests.place():
        restored = expiring.restore(header.repository, caller(request), oid)
    count = restored.versions
    sentence = ngettext(
        "{count} version got the files back; no rule removes them.",
        "{count} versions got the files back; no rule removes them.",
        count,
    )
    text = sentence.format(count=count)
    if restored.left:
        more = gettext("{count} more are still in the bin: take them back again.")
        text += f" {more.format(count=restored.left)}"
    messages.success(request, text)
    return redirect("commit", header.repository, oid) if oid else redirect("retention", header.repository)


def _page(request: HttpRequest, header: RepositoryHeader, tried: Retention | None) -> HttpResponse:
    limits = tried.limits() if tried is not None and tried.is_valid() else None
    preview = expiring_views.preview(header.repository, limits)
    set_now = {"keep_last": preview.limits.keep_last, "keep_days": preview.limits.keep_days}
    form = tried or Retention(initial=set_now if preview.limits.keep_last else None)
    context = {"header": header, "tab": "settings", "preview": preview, "form": form, "tried": limits}
    return render(request, "site/retention.html", context, status=form.status)


# --- of an owner -----------------------------------------------------------------------------------------------------
@require_safe
def owner_retention_page(request: HttpRequest, ns: str) -> HttpResponse:
    """Show what the numbers in the query, or those of the rule in force, remove from each repository of an owner."""
    person(request)
    namespace = retention.require_owner(ns, caller(request), writing=False)
    rule = retention.own_rule(namespace)
    tried = Limits(rule.keep_last, rule.keep_days) if rule else Limits(20, 7)
    form = Retention(request.GET if "keep_last" in request.GET else asdict(tried), auto_id=f"%s-{namespace.pk}")
    if not form.is_valid():
        return usage_page(request, {namespace.pk: form})
    preview = expiring_views.preview_owner(namespace, form.limits(), after=row_id(request.GET.get("after", "")))
    context = {"namespace": namespace, "preview": preview, "tried": form.limits(), "rule": rule}
    return render(request, "site/owner_retention.html", context)


@require_POST
def set_owner_rule(request: HttpRequest, ns: str) -> HttpResponse:
    person(request)
    namespace = retention.require_owner(ns, caller(request))
    form = Retention(request.POST, auto_id=f"%s-{namespace.pk}")
    if form.is_valid():
        with form:
            retention.set_owner_rule(namespace.name, caller(request), form.limits())
            sentence = gettext("The rule of {name} is set. It is applied within the hour.")
            messages.success(request, sentence.format(name=namespace.name))
            return redirect("usage")
    return usage_page(request, {namespace.pk: form})


@require_POST
def clear_owner_rule(request: HttpRequest, ns: str) -> HttpResponse:
    person(request)
    retention.clear_owner_rule(ns, caller(request))
    messages.success(request, gettext("The rule of {name} is removed.").format(name=ns))
    return redirect("usage")
