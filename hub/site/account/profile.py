"""The first page of a person's settings, and their profile: how their page shows them."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub.site.forms import Form, posted, status_of
from hub.site.forms.account.accounts import Picture, Profile
from hub.site.visitor import caller, person
from registry.models import User
from registry.people import accounts, avatars
from registry.people.organizations import invitations


@require_safe
def settings(request: HttpRequest) -> HttpResponse:
    """Lead to every page of the settings, each with how it stands."""
    user = person(request)
    tokens = list(user.tokens.all())
    shown = {
        "user": user,
        "tokens": tokens,
        "ended": sum(token.expires_at is not None and token.expires_at <= timezone.now() for token in tokens),
        "last_use": max((token.last_used_at for token in tokens if token.last_used_at), default=None),
        "memberships": user.memberships.select_related("organization__namespace").order_by("pk"),
        "invited": invitations.list_received(caller(request)).count(),
    }
    return render(request, "site/settings.html", shown)


@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = Profile(posted(request), initial=_initial(user))
    saved = False
    if form.is_valid():
        with form:
            accounts.set_profile(user, by=user, **form.cleaned_data)
            saved = True
    return _page(request, user, form=form, saved=saved)


@require_POST
def set_picture(request: HttpRequest) -> HttpResponse:
    user = person(request)
    picture = Picture(request.POST, request.FILES)
    if picture.is_valid():
        with picture:
            avatars.set_avatar(user, picture.cleaned_data["picture"].read(avatars.MAX_BYTES + 1))
            return redirect("profile")
    return _page(request, user, picture=picture)


@require_POST
def remove_picture(request: HttpRequest) -> HttpResponse:
    avatars.remove_avatar(person(request))
    return redirect("profile")


def _page(request: HttpRequest, user: User, saved: bool = False, **tried: Form) -> HttpResponse:
    forms = {"form": Profile(initial=_initial(user)), "picture": Picture(), **tried}
    shown = {**forms, "saved": saved, "user": user}
    return render(request, "site/profile.html", shown, status=status_of(tried))


def _initial(user: User) -> dict[str, str]:
    return {"full_name": user.full_name, "bio": user.bio, "links": "\n".join(user.links)}
