"""The owner's side of moderation: one's standing, and appeals against what is held back."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from hub.site.forms.cases import Message, NewAppeal
from hub.site.routing import RepositoryAddress
from hub.site.visitor import caller, person
from registry.kernel import seams
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Permission
from registry.models import User
from registry.moderation.strikes import appeals, standing
from registry.repos import lookup, pull


@require_safe
def own(request: HttpRequest) -> HttpResponse:
    """Show what moderation holds against the visitor."""
    user = person(request)
    seams.saw(user, "standing")
    return render(request, "site/standing.html", {"standing": standing.of_person(user, caller(request))})


@require_POST
def appeal(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Open an appeal against what holds a repository, or one revision of it, back."""
    by = caller(request)
    repository = lookup.find_at_address(address.full_name, by, Permission.READ, type=address.type)
    person(request)  # after it: a stranger must not learn from the sign-in page that something is there
    form = NewAppeal(request.POST)
    if form.is_valid():
        revision = pull.resolve(repository, form.cleaned_data["revision"]) if form.cleaned_data["revision"] else None
        return redirect(appeals.open_appeal(repository, by, form.cleaned_data["text"], revision=revision))
    raise ValueInvalid("The text is too long.", fix="Use at most 10,000 characters.")


@require_safe
def one(request: HttpRequest, number: int) -> HttpResponse:
    """Show one of the visitor's own appeals with its messages."""
    user = person(request)
    return _thread(request, appeals.get_own(number, caller(request)).pk, Message(), user=user)


@require_POST
def write(request: HttpRequest, number: int) -> HttpResponse:
    """Add a message to one's own appeal."""
    user = person(request)
    row = appeals.get_own(number, caller(request))
    form = Message(request.POST)
    if form.is_valid():
        with form:
            appeals.write(row, caller(request), form.cleaned_data["text"])
            return redirect(row)
    return _thread(request, number, form, user=user)


def _thread(request: HttpRequest, number: int, form: Message, *, user: User) -> HttpResponse:
    row = appeals.get_own(number, caller(request))
    seams.saw(user, "appeal", row)
    context = {"appeal": row, "thread": appeals.messages(row, with_notes=False), "form": form}
    return render(request, "site/appeal.html", context, status=form.status)
