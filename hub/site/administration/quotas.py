"""The limits of one person or organisation, as administrators of the hub set them."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from hub.site.administration.staff import for_administrators
from hub.site.forms import posted
from hub.site.forms.organization.quotas import NewQuota
from hub.site.visitor import caller
from registry.kernel.limits import quotas as quota_limits
from registry.kernel.limits import quotas as usage
from registry.models import Namespace
from registry.people import quotas

NOUNS = {Namespace.Kind.PERSON: _("A person"), Namespace.Kind.ORGANIZATION: _("An organisation")}
ROWS = 100  # the newest are shown


@for_administrators
@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """List the limits that were set, with the use; POST sets some."""
    form = NewQuota(posted(request), initial={"name": request.GET.get("name", "")})
    if form.is_valid():
        given = form.cleaned_data
        with form:
            quotas.change(
                given["name"],
                caller(request),
                bytes=given["bytes"],
                repositories=given["repositories"],
                reason=given["reason"],
            )
            return redirect("site-quotas")
    rows = usage.usage_of_each(quotas.listed()[:ROWS])
    hub = [(NOUNS[kind], quota_limits.hub_limits(kind)) for kind in Namespace.Kind]
    context = {"form": form, "rows": rows, "hub": hub}
    return render(request, "site/moderation/quotas.html", context, status=form.status)
