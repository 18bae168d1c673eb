"""A person's profile: how their page shows them."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from hub.site.forms import Form, posted, status_of
from hub.site.forms.account.accounts import Picture, Profile
from hub.site.visitor import person
from registry.models import User
from registry.people import accounts, avatars


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
