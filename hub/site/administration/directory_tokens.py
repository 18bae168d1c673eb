"""Tokens of the directory (SCIM), for administrators of the hub: make one, see which are used, revoke them."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from hub.site.administration.staff import for_administrators
from hub.site.forms import posted
from hub.site.forms.moderation import NewDirectoryToken
from hub.site.sign_in.reauthentication import ask_again, has_proven_lately
from hub.site.visitor import caller
from registry.kernel.texts.links import absolute
from registry.people.tokens import directory_tokens


@for_administrators
@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """List the tokens; POST makes one and shows its value in the answer itself, the only time it is ever shown."""
    if request.method == "POST" and not has_proven_lately(request):
        return ask_again(request)
    by, value = caller(request), ""
    form = NewDirectoryToken(posted(request))
    if form.is_valid():
        with form:
            value = directory_tokens.create(form.cleaned_data["name"], form.cleaned_data["days"], by)
    context = {
        "form": NewDirectoryToken() if value else form,
        "value": value,
        "tokens": directory_tokens.list_all(by),
        "address": absolute("/scim/v2"),
        "is_configured": bool(settings.SCIM_TOKEN),
    }
    return render(request, "site/moderation/directory.html", context, status=form.status)


@for_administrators
@require_POST
def revoke(request: HttpRequest, number: int) -> HttpResponse:
    directory_tokens.revoke(number, caller(request))
    return redirect("directory-tokens")
