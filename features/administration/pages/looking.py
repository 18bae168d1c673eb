"""Shows rows in the administration, and lets administrators act on them after a page that asks for a reason."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin, TabularInline
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from registry.kernel.errors import RegistryError
from registry.kernel.policy import Caller
from registry.kernel.texts import cursors
from registry.models import User
from registry.moderation import quarantine

MOST_AT_ONCE = 100
MOST_LISTED = 10_000  # rows of a list; a search or a filter leads to the others


class Reason(forms.Form):
    """Why somebody does this."""

    reason = forms.CharField(
        max_length=quarantine.MAX_REASON,
        widget=UnfoldAdminTextInputWidget,
        help_text="One sentence. The owners and the log show it.",
    )
    note = forms.CharField(
        max_length=quarantine.MAX_NOTE,
        required=False,
        widget=UnfoldAdminTextareaWidget,
        help_text="For moderators only: evidence, links, who reported it.",
    )


@dataclass(frozen=True)
class Act:
    """Something an administrator does to chosen rows, after a page that asks for what `form` asks for.

    `verb` takes a row, the caller and the form's fields, says whether anything changed, and writes the log.
    """

    name: str
    title: str
    form: type[forms.Form]
    verb: Callable[..., bool]


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # it takes no parameter at runtime
    """Pages of the first MOST_LISTED rows: to count all rows of a large table takes seconds."""

    @cached_property
    def count(self) -> int:
        rows: models.QuerySet[Any] = self.object_list[:MOST_LISTED]  # type: ignore[assignment]  # it is a QuerySet here
        return rows.count()


class Looking(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Shows rows; nothing is added, edited or deleted, only acted on through `acts`."""

    acts: Sequence[Act] = ()
    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator

    def __init__(self, model: type[models.Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        for act in self.acts:  # unfold finds the buttons of a row's page as methods by name
            setattr(self, act.name, self._button(act))
        self.actions_detail = [act.name for act in self.acts]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer each act for the rows that are ticked; the question comes on a page of its own."""
        return {
            act.name: (
                lambda _, request, rows, name=act.name: self._question(name, rows.values_list("pk", flat=True)),
                act.name,
                f"{act.title} …",
            )
            for act in self.acts
        }

    def get_urls(self) -> list[URLPattern]:
        views = [path(f"act/{act.name}/", self.admin_site.admin_view(self._view(act))) for act in self.acts]
        return views + cast(list[URLPattern], super().get_urls())

    def _button(self, act: Act) -> Callable[[HttpRequest, str], HttpResponse]:
        def button(request: HttpRequest, object_id: str) -> HttpResponse:
            return self._question(act.name, [object_id])

        # What unfold's own decorator would set.
        vars(button).update(short_description=f"{act.title} …", attrs={}, variant=ActionVariant.DEFAULT)
        return button

    def _question(self, name: str, rows: Iterable[object]) -> HttpResponse:
        query = urlencode([("id", one) for one in rows][:MOST_AT_ONCE])
        return HttpResponseRedirect(f"{self._list_url()}act/{name}/?{query}")

    def history_view(self, request: HttpRequest, object_id: str, extra_context: object = None) -> HttpResponse:
        """Write nothing to Django's log of changes: our own audit log has them."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return HttpResponseRedirect(f"{reverse('admin:registry_auditevent_changelist')}?{urlencode({'q': row})}")

    def _list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def _view(self, act: Act) -> Callable[[HttpRequest], HttpResponse]:
        def view(request: HttpRequest) -> HttpResponse:
            asked = [cursors.parse_row_number(one) for one in (request.POST or request.GET).getlist("id")]
            chosen = list(self.get_queryset(request).filter(pk__in=asked))
            form = act.form(request.POST if request.method == "POST" else None)
            if not chosen:
                raise Http404
            if form.is_valid():
                for row in chosen:
                    self._do(act, row, request, form.cleaned_data)
                return HttpResponseRedirect(self._list_url())
            return self._ask(request, act.title, form, chosen=chosen)

        return view

    def _ask(self, request: HttpRequest, title: str, form: forms.Form, **more: object) -> HttpResponse:
        context = self.admin_site.each_context(request) | {"opts": self.opts, "title": title, "form": form, **more}
        return render(request, "admin/registry/act.html", context | {"back": self._list_url()})

    def _do(self, act: Act, row: models.Model, request: HttpRequest, fields: dict[str, str]) -> None:
        try:
            changed = act.verb(row, Caller(user=cast(User, request.user)), **fields)
        except RegistryError as refusal:
            messages.error(request, f"{row}: {refusal.detail} {refusal.fix}")
        else:
            messages.success(request, f"{act.title}: {row}{'' if changed else ' needed nothing'}.")


class Rows(TabularInline):  # type: ignore[misc]  # unfold has no types
    """Rows that belong to the one on the page, to look at."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False
