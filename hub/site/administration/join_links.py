"""Invitations to the hub: an administrator makes links by which people join, and sees those that still work."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods, require_POST

from hub.site.administration.staff import for_administrators
from hub.site.forms import posted
from hub.site.forms.account.accounts import NewJoinLink
from hub.site.visitor import caller
from registry.kernel import site_settings
from registry.kernel.texts.phrases import absolute
from registry.people.organizations import join_links
from registry.talk import letters
from registry.talk.letters import invitation_address

LETTER = gettext_noop("""{by} invites you to {hub}, a registry of adapters.

Choose a name and a password within {days} days:
{link}
""")


@require_http_methods(["GET", "POST"])
@for_administrators
def listed(request: HttpRequest) -> HttpResponse:
    """List the links; POST makes one and shows it in the answer itself, the only time it is ever shown."""
    by, link, hint = caller(request), "", ""
    rows = join_links.list_open(by)
    form = NewJoinLink(posted(request))
    if form.is_valid():
        with form:
            terms = join_links.Terms(**form.cleaned_data)
            link = invitation_address(join_links.create(terms, by))
            hint = _hint(terms.email)
            words = {"by": by.user, "hub": absolute(reverse("home")), "days": terms.days, "link": link}
            letters.send(terms.email, f"[Dovetail] {gettext('You are invited')}", gettext(LETTER).format(**words))
    registration = site_settings.get_setting("registration")
    fresh = NewJoinLink() if link else form
    context = {"form": fresh, "link": link, "hint": hint, "rows": rows, "registration": registration}
    return render(request, "site/join_links.html", context, status=form.status)


def _hint(email: str) -> str:
    """Return the sentence about the address of a new link, "" for a link without one."""
    if not email:
        return ""
    if letters.are_sent():
        return gettext("It went to {address}.").format(address=email)
    return gettext("This hub sends no mail: pass it on to {address} yourself.").format(address=email)


@require_POST
@for_administrators
def revoke(request: HttpRequest, number: int) -> HttpResponse:
    join_links.revoke(number, caller(request))
    return redirect("join-links")
