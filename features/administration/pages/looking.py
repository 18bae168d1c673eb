"""Shows rows in the administration, and lets administrators act on them after a page that asks for a reason."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.core.paginator import Paginator
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property

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
        widget=AdminTextInputWidget,
        help_text="One sentence. The owners and the log show it.",
    )
    note = forms.CharField(
        max_length=quarantine.MAX_NOTE,
        required=False,
        widget=AdminTextareaWidget,
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


class Looking(admin.ModelAdmin):  # type: ignore[type-arg]  # it takes no parameter at runtime
    """Shows rows; nothing is added, edited or deleted, only acted on through `acts`."""

    acts: Sequence[Act] = ()
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # it counts all rows
    paginator = BoundedPaginator
    change_form_template = "admin/registry/change_form.html"
    view_on_site = False

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
        ask = self.admin_site.admin_view(self.act_view)
        return [path("act/<slug:name>/", ask, name=f"{self._of_table}_act"), *super().get_urls()]

    def _question(self, name: str, rows: Iterable[object]) -> HttpResponse:
        query = urlencode([("id", one) for one in rows][:MOST_AT_ONCE])
        return HttpResponseRedirect(f"{reverse(f'admin:{self._of_table}_act', args=[name])}?{query}")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Show a row with a button for each act."""
        return super().changeform_view(request, object_id, form_url, {"acts": self.acts})

    def history_view(self, request: HttpRequest, object_id: str, extra_context: object = None) -> HttpResponse:
        """Write nothing to Django's log of changes: our own audit log has them."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return HttpResponseRedirect(f"{reverse('admin:registry_auditevent_changelist')}?{urlencode({'q': row})}")

    def _list_url(self) -> str:
        return reverse(f"admin:{self._of_table}_changelist")

    @property
    def _of_table(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"

    def act_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask for what an act needs, and do it to the chosen rows."""
        act = next((act for act in self.acts if act.name == name), None)
        asked = [cursors.parse_row_number(one) for one in (request.POST or request.GET).getlist("id")]
        chosen = list(self.get_queryset(request).filter(pk__in=asked))
        if act is None or not chosen:
            raise Http404
        form = act.form(request.POST if request.method == "POST" else None)
        if form.is_valid():
            for row in chosen:
                self._do(act, row, request, form.cleaned_data)
            return HttpResponseRedirect(self._list_url())
        return self._ask(request, act.title, form, chosen=chosen)

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


class Rows(admin.TabularInline):  # type: ignore[type-arg]  # as above
    """Rows that belong to the one on the page, to look at."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False
