"""The robots of an organisation as its administrators see them: make one, give it tokens, remove it."""

from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from features.robots import verbs
from hub.addresses import origin
from hub.site import routing
from hub.site.forms import Form, Option, Refusals, choice_field, name_field, posted, text_field
from hub.site.panels import Link, Pages
from hub.site.sign_in.sessions import needs_recent_authentication as recent
from hub.site.visitor import caller, person
from registry.kernel.errors import Invalid, NameTaken
from registry.people import accounts


class NewRobotToken(Form):
    name = text_field(_("Name"), _("Where it is used."), maxlength=100, placeholder=_("nightly build"))
    patterns = text_field(
        _("Repositories"), widget=forms.Textarea, rows=3, spellcheck="false", autocapitalize="none", maxlength=8000
    )
    right = choice_field(
        _("What it may do there"),
        [
            ("read", Option("read", _("Pull, including private ones."))),
            ("write", Option("write", _("Push, too."))),
            ("create", Option("create", _("May also create repositories with a matching name."))),
        ],
        "read",
    )
    expires_at = forms.DateField(
        label=_("Ends on"),
        help_text=_("Within a year."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={
            "invalid": _("This is not a date. Write it as 2027-01-31."),
            "required": _("A robot's token must expire. Choose a date within the next year."),
        },
    )
    fields_of: ClassVar[Refusals] = {NameTaken: "name", Invalid: "patterns"}

    def __init__(self, *args: Any, organization: str, **options: Any) -> None:
        super().__init__(*args, **options)
        lines = _("One per line: `{organization}/reviews`, `{organization}/nightly-*`.")
        self.fields["patterns"].help_text = lines.format(organization=organization)
        self.fields["patterns"].widget.attrs["placeholder"] = f"{organization}/nightly-*"
        today = date.today()
        limits = {"min": today + timedelta(days=1), "max": today + timedelta(days=365)}
        self.fields["expires_at"].widget.attrs |= {name: day.isoformat() for name, day in limits.items()}
        self.fields["expires_at"].initial = today + timedelta(days=90)

    def clean_expires_at(self) -> datetime:
        """Return the end of the day that was typed."""
        end = datetime.combine(self.cleaned_data["expires_at"], time.max.replace(microsecond=0))
        return timezone.make_aware(end)

    def grants(self) -> dict[str, str]:
        """Return the right on each line."""
        lines = filter(None, map(str.strip, self.cleaned_data["patterns"].splitlines()))
        return dict.fromkeys(lines, self.cleaned_data["right"] or "read")


class NewRobot(NewRobotToken):
    """A robot with its first token, which has its name."""

    name = name_field(_("Name"), _("What it is for, in a word."), maxlength=40, placeholder="deploy")
    purpose = text_field(_("Purpose"), _("Optional."), required=False, maxlength=200)
    field_order = ("name", "purpose")


@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest, ns: str) -> HttpResponse:
    """List the robots; POST makes one with its first token, and shows both."""
    name, by = _organization(request, ns), caller(request)
    rows = verbs.list_robots(name, by)
    form = NewRobot(posted(request), organization=name)
    if form.is_valid():
        given = form.cleaned_data
        with form, transaction.atomic():  # no robot without its token
            made = verbs.create_robot(name, given["name"], by, purpose=given["purpose"]).robot_name
            value = verbs.create_token(name, made, given["name"], form.grants(), given["expires_at"], by)
            return _page(request, name, made, form, value)
    context = {"organization": name, "robots": rows, "form": form}
    return render(request, "robots/listed.html", context, status=form.status)


@require_http_methods(["GET", "POST"])
def one(request: HttpRequest, ns: str, robot: str) -> HttpResponse:
    """Show a robot; POST makes a token and shows its value in the answer itself, the only time it is ever shown."""
    name, by, value = _organization(request, ns), caller(request), ""
    form = NewRobotToken(posted(request), organization=name)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            value = verbs.create_token(name, robot, given["name"], form.grants(), given["expires_at"], by)
    return _page(request, name, robot, form, value)


def _page(request: HttpRequest, name: str, robot: str, form: NewRobotToken, value: str) -> HttpResponse:
    row = verbs.get_robot(name, robot, caller(request))
    context = {
        "organization": name,
        "robot": row,
        "form": NewRobotToken(organization=name) if value else form,
        "value": value,
        "address": origin(request),
        "file": workflow(origin(request), form.grants()) if value else "",
        "tokens": row.tokens.all(),
    }
    return render(request, "robots/robot.html", context, status=form.status)


WORKFLOW = """on:
  push:
    branches: [main]
permissions:
  contents: read
env:
  HF_ENDPOINT: {address}
  HF_TOKEN: ${{{{ secrets.DOVETAIL_TOKEN }}}}
jobs:
  adapter:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: pip install huggingface_hub
      - run: hf {command}
"""


def workflow(address: str, grants: dict[str, str]) -> str:
    """Return a workflow of GitHub Actions that uses a token; of repositories by pattern, the one named as its own."""
    pattern, right = next(iter(grants.items()))
    name = pattern.replace("*", "${{ github.event.repository.name }}")
    command = f"download {name} --local-dir ./adapter" if right == "read" else f"upload {name} ./adapter"
    return WORKFLOW.format(address=address, command=command)


def revoke(request: HttpRequest, ns: str, robot: str, token_id: int) -> HttpResponse:
    name = _organization(request, ns)
    verbs.revoke_token(name, robot, token_id, caller(request))
    return redirect("robot", name, robot)


def remove(request: HttpRequest, ns: str, robot: str) -> HttpResponse:
    name = _organization(request, ns)
    verbs.remove_robot(name, robot, caller(request))
    return redirect("organization-robots", name)


def _organization(request: HttpRequest, ns: str) -> str:
    person(request)
    return accounts.resolve_namespace(ns).name


ROBOTS, ROBOT = "organizations/<str:ns>/settings/robots", "organizations/<str:ns>/settings/robots/<str:robot>"
PAGES = Pages(
    routes=[
        routing.at(ROBOTS, recent(listed), "organization-robots"),
        routing.at(ROBOT, recent(one), "robot"),
        *routing.forms(
            "robot",
            ROBOT,
            ("remove", remove, "remove-robot"),
            ("tokens/<int:token_id>/revoke", revoke, "revoke-robot-token"),
        ),
    ],
    links=(Link("organization", "organization-robots", _("Robots"), place=30),),
)
