"""A table of the forms that a page takes by POST: a view that finds a thing, changes it and leads back is a row of one.

A view that does anything else is a function.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict

from hub.site.forms import Form
from hub.site.refusals import View
from hub.site.visitor import caller
from registry.kernel.policy import Caller

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Thing = TypeVar("Thing")
Given = Mapping[str, Any]  # the values of the fields of a form
Then = Callable[[Thing, Any], HttpResponse]  # where to go, from the thing and what the verb returned


@dataclass(frozen=True, slots=True)
class Posts(Generic[Thing]):
    """The forms of one page, which all change the same thing; each row is a view.

    >>> SETTINGS = Posts(find, page, back)
    >>> rename = SETTINGS.form("rename", Rename, lambda team, given, by: teams.rename(team, given["name"], by))
    >>> archive = SETTINGS.button(lambda team, by: teams.archive(team, by))
    """

    find: Callable[..., Thing]  # from the request and the parameters of the route; raises what visitors are refused
    page: Callable[..., HttpResponse]  # shows the thing, with the form that was refused under its name on the page
    back: Callable[[Thing], HttpResponse]  # where to go afterwards, where the row does not say

    def form(
        self,
        name: str,
        form: Callable[[QueryDict], Form],
        verb: Callable[[Thing, Given, Caller], object],
        then: Then[Thing] | None = None,
        done: "StrOrPromise" = "",
    ) -> View:
        """Return the view of a form; what is wrong in it, or what `verb` refuses, is shown on the page."""

        def view(request: HttpRequest, **route: Any) -> HttpResponse:
            thing = self.find(request, **route)
            sent = form(request.POST)
            if sent.is_valid():
                with sent:
                    made = verb(thing, sent.cleaned_data, caller(request))
                    return self._leave(request, thing, made, then, done)
            return self.page(request, thing, **{name: sent})

        return view

    def button(
        self, verb: Callable[[Thing, Caller], object], then: Then[Thing] | None = None, done: "StrOrPromise" = ""
    ) -> View:
        """Return the view of a button, a form without fields; what `verb` refuses has a page of its own."""

        def view(request: HttpRequest, **route: Any) -> HttpResponse:
            thing = self.find(request, **route)
            return self._leave(request, thing, verb(thing, caller(request)), then, done)

        return view

    def _leave(
        self, request: HttpRequest, thing: Thing, made: object, then: Then[Thing] | None, done: "StrOrPromise"
    ) -> HttpResponse:
        if done:
            messages.success(request, str(done))
        return then(thing, made) if then else self.back(thing)
