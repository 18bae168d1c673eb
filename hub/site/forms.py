"""The website's forms, a file a page; here what they share: how a field looks, and where a refusal is shown.

A form reads what was typed; whether it may be is the domain's matter. Its refusals are shown beside the field that they
concern, with the status that REST answers for them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from django import forms
from django.contrib import messages
from django.forms.renderers import TemplatesSetting
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from hub.errors import http_form
from hub.site.refusals import View
from hub.site.visitor import caller
from hub.site.words import english
from registry.kernel.errors import RegistryError
from registry.kernel.policy import Caller
from registry.kernel.texts.names import Likeness
from registry.people import name_rules

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Refusals = Mapping[type[RegistryError], str]  # kind of refusal → the field that it concerns, if it names none itself


class Renderer(TemplatesSetting):
    """Draws a field with its label, its help and its errors as the website's own."""

    field_template_name = "site/parts/field.html"


class Form(forms.Form):
    """A form of the website.

    >>> with form:
    ...     return redirect(adapters.create(form.cleaned_data["title"]))

    A refusal raised inside the block becomes an error of the form, which is then shown again with `form.status`.
    """

    default_renderer = Renderer
    error_css_class = "wrong"
    fields_of: ClassVar[Refusals] = {}

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("auto_id", "%s")
        super().__init__(*args, **options)
        self.refusal: RegistryError | None = None

    @property
    def status(self) -> int:
        """The status of the page that shows this form: that of what was refused, if anything was."""
        if self.refusal:
            return http_form(self.refusal).status
        return 400 if self.is_bound and self.errors else 200

    @property
    def all_errors(self) -> SafeString:
        """The errors of all fields as one text, for a page that shows the form no more."""
        return format_html_join(" ", "{}", ((error,) for errors in self.errors.values() for error in errors))

    def refuse(self, refusal: RegistryError) -> None:
        """Show a refusal beside the field that it names, or that `fields_of` has for its kind; else above the form."""
        self.refusal = refusal
        field = next((self.fields_of[kind] for kind in type(refusal).__mro__ if kind in self.fields_of), None)
        if refusal.field in self.fields and not self.fields[refusal.field].widget.is_hidden:
            field = refusal.field
        self.add_error(field, english(f"{refusal.detail} {refusal.fix}".strip()))

    def __enter__(self) -> Self:
        self.full_clean()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: TracebackType | None) -> bool:
        if not isinstance(error, RegistryError):
            return False
        self.refuse(error)
        return True


def posted(request: HttpRequest) -> QueryDict | None:
    """Return what was sent to a page that shows a form on GET and takes it on POST."""
    return request.POST if request.method == "POST" else None


def status_of(tried: Mapping[str, Form]) -> int:
    """Return the status of a page with several forms, of which these were tried and refused."""
    return max((form.status for form in tried.values()), default=200)


class Option:
    """The label of one choice, with a note in small letters below it."""

    def __init__(self, label: "StrOrPromise", note: "StrOrPromise" = "") -> None:
        self.label, self.note = label, note

    def __str__(self) -> str:
        return str(self.label)


Options = Iterable[tuple[str, "StrOrPromise | Option"]]


class Radios(forms.RadioSelect):
    template_name = "site/widgets/choices.html"


class Checkboxes(forms.CheckboxSelectMultiple):
    template_name = "site/widgets/choices.html"


class Choice(forms.CharField):
    """One of the shown values. A form that changes a setting must send one; an incomplete form opens nothing."""

    def __init__(self, *, options: Options, must_answer: bool, **more: Any) -> None:
        choices = list(options)
        super().__init__(required=False, widget=Radios(choices=choices), **more)
        self.values, self.must_answer = [value for value, _ in choices], must_answer

    def clean(self, value: Any) -> Any:
        if value not in self.values and (value or self.must_answer):
            raise forms.ValidationError(_("Choose one of the answers shown."))
        return super().clean(value)


def text_field(
    label: "StrOrPromise",
    help_text: "StrOrPromise" = "",
    *,
    required: bool = True,
    widget: Any = forms.TextInput,
    **attrs: Any,
) -> Any:
    """Return a field for one line of text (or what else `widget` takes).

    A browser asks for a required one; what is said of an empty one that comes all the same is the domain's sentence.
    """
    attrs = {"autocomplete": "off", "required": required, **attrs}
    strip = not issubclass(widget, forms.PasswordInput)
    return forms.CharField(label=label, help_text=help_text, required=False, strip=strip, widget=widget(attrs=attrs))


def name_field(label: "StrOrPromise", help_text: "StrOrPromise" = "", **attrs: Any) -> Any:
    """Return a field for the name of somebody or something, which no browser should correct."""
    return text_field(label, help_text, autocapitalize="none", spellcheck="false", **{"maxlength": 96, **attrs})


def choice_field(label: "StrOrPromise", options: Options, initial: str) -> Any:
    """Return a field for one of a few values; without an answer it is the first one shown."""
    return forms.CharField(label=label, required=False, initial=initial, widget=Radios(choices=list(options)))


def visibility_field(label: "StrOrPromise", public: Option, private: Option, *, must_answer: bool = False) -> Any:
    """Return the choice between public and private; of what is new, without an answer it is public."""
    options = [("public", public), ("private", private)]
    return Choice(label=label, initial="public", options=options, must_answer=must_answer)


class Named(Form):
    """A form that takes a name: one that looks like a well-known name must be confirmed."""

    confirm_name = forms.BooleanField(label=_("Use this name anyway"), required=False)
    named_by = "name"  # the field that holds the name
    likeness: Likeness | None = None

    def like(self, name: str) -> Likeness | None:
        """Return the well-known name that this one could be taken for."""
        return name_rules.like_namespace(name)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self.likeness = self.like(cleaned.get(self.named_by) or "")
        if self.likeness and not cleaned.get("confirm_name"):
            self.add_error(
                self.named_by,
                _(
                    "This looks like `{name}`: {why}. People may take one for the other, and moderators see it. Choose "
                    "another name, or tick the box below."
                ).format(name=self.likeness.name, why=self.likeness.why),
            )
        return cleaned


class Owned(Form):
    """A form that makes something of one's own, or of an organisation."""

    owner = forms.CharField(label=_("Owner"), required=False, widget=forms.Select)

    def __init__(self, *args: Any, owners: list[str], **options: Any) -> None:
        super().__init__(*args, **options)
        widget = self.fields["owner"].widget
        assert isinstance(widget, forms.Select)
        widget.choices = [(owner, owner) for owner in owners]
        self.owners = owners

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        return {**cleaned, "owner": cleaned.get("owner") or self.owners[0]}


class Confirm(Form):
    """The name of what is deleted, typed again."""

    confirm = text_field(_("Delete"), autocapitalize="none", spellcheck="false", maxlength=200)

    def __init__(self, *args: Any, label: "StrOrPromise", name: str, help_text: "StrOrPromise", **options: Any) -> None:
        super().__init__(*args, **options)
        self.name = name
        field = self.fields["confirm"]
        field.label, field.help_text = label, help_text
        field.widget.attrs["placeholder"] = name

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"].strip()
        if typed != self.name:
            raise forms.ValidationError(
                _("{name} was not deleted. To delete it, type its name, `{name}`.").format(name=self.name)
            )
        return typed


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
