"""A person's profile: how their page shows them."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from hub.site.forms import posted
from hub.site.forms.accounts import Profile
from hub.site.visitor import person
from registry.people import accounts


@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = Profile(posted(request), initial={"full_name": user.full_name})
    saved = False
    if form.is_valid():
        with form:
            accounts.set_profile(user, by=user, **form.cleaned_data)
            saved = True
    return render(request, "site/profile.html", {"form": form, "saved": saved}, status=form.status)
