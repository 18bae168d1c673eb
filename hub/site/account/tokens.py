"""A person's access tokens: create one and see it once, see when the others were last used, revoke."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from hub.addresses import origin
from hub.site.forms import posted
from hub.site.forms.account.tokens import NewToken
from hub.site.visitor import caller, person
from registry.kernel import policy
from registry.models import Repository
from registry.people.tokens import tokens

MOST_OFFERED = 200


@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """List the tokens; POST creates one and shows its value in the answer itself, the only time it is ever shown."""
    user, value = person(request), ""
    offered = _repositories(request)
    form = NewToken(posted(request), repositories=offered)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            value = tokens.create_token(
                user, given["name"], given["role"], expires_at=given["expires"], grants=given["grants"]
            )
    context = {
        "form": NewToken(repositories=offered) if value else form,
        "value": value,
        "address": origin(request),
        "welcome": "welcome" in request.GET,
        "tokens": list(user.tokens.all()),
    }
    return render(request, "site/tokens.html", context, status=form.status)


@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    tokens.revoke_token(person(request), token_id)
    return redirect("tokens")


def _repositories(request: HttpRequest) -> list[str]:
    """Return the ids of the repositories that a token may be created for, the newest first."""
    by = caller(request)
    mine = Repository.objects.filter(policy.visible_to(by), policy.in_reach(by))
    return [row.full_name for row in mine.select_related("namespace").order_by("-updated_at")[:MOST_OFFERED]]
