"""Creating a repository by hand: name, owner, who may see it; the next page shows how to push to it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from hub.site.forms import posted
from hub.site.forms.repositories import NewRepository
from hub.site.visitor import caller, owners_of_new_repository, person
from registry.publish import repositories


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    person(request)
    names = owners_of_new_repository(caller(request))
    initial = {"owner": request.GET.get("owner", "")}
    form = NewRepository(posted(request), owners=names, initial=initial)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            is_private = given["visibility"] == "private"
            return redirect(
                repositories.create(f"{given['owner']}/{given['name']}", caller(request), private=is_private)
            )
    return render(request, "site/new.html", {"form": form}, status=form.status)
