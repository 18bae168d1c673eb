"""The blocklist of files, for moderators."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from features.blocklist import verbs
from hub.site import lists, routing
from hub.site.forms import Form, posted, text_field
from hub.site.panels import RULES, Link, Pages
from hub.site.sign_in.sessions import for_moderators
from hub.site.visitor import caller

ROWS = 50  # of one page


class Block(Form):
    """Files to block, and why."""

    digests = forms.CharField(
        label=_("SHA-256"),
        help_text=_("One digest per line."),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    reason = text_field(_("Reason"), _("Shown to people who push such a file."), maxlength=verbs.MAX_REASON)
    note = text_field(_("Note"), _("For moderators."), required=False, maxlength=verbs.MAX_NOTE)


@for_moderators
@require_http_methods(["GET", "HEAD", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """Show the blocked files, and block more."""
    form = Block(posted(request))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            verbs.block(given["digests"].split(), caller(request), reason=given["reason"], note=given["note"])
            return redirect("blocklist")
    query = request.GET.get("sha256", "").strip().lower()
    rows, older = lists.older(request, verbs.listed(query), ROWS)
    context = {"form": form, "rows": rows, "older": older, "query": query}
    return render(request, "blocklist/listed.html", context, status=form.status)


def unblock(request: HttpRequest) -> HttpResponse:
    verbs.unblock(request.POST.get("sha256", ""), caller(request))
    return redirect("blocklist")


PAGES = Pages(
    routes=[
        routing.at("moderation/blocklist", listed, "blocklist"),
        *routing.forms("blocklist", "moderation/blocklist", ("unblock", unblock, "unblock"), guard=for_moderators),
    ],
    links=(Link("moderation", "blocklist", _("Blocked files"), place=62, group=RULES),),
)
