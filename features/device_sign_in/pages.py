"""The page on which a person lets a program sign in."""

from typing import ClassVar

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from features.device_sign_in import verbs
from hub.site import routing
from hub.site.forms import Form, Option, Refusals, choice_field, text_field
from hub.site.panels import Pages, Panel
from hub.site.sign_in.sessions import needs_recent_authentication as recent
from hub.site.visitor import caller, person
from registry.kernel.errors import RegistryError


class DeviceCode(Form):
    code = text_field(
        _("Code"),
        _("As shown by `hf auth login`."),
        maxlength=20,
        placeholder="BCDF-GHJK",
        autocapitalize="characters",
        spellcheck="false",
    )
    fields_of: ClassVar[Refusals] = {RegistryError: "code"}


class DeviceAnswer(Form):
    code = forms.CharField(widget=forms.HiddenInput)
    role = choice_field(
        _("What it may do"),
        [
            ("write", Option("write", _("Push, and pull what you can see."))),
            ("read", Option("read", _("Pull only."))),
        ],
        "write",
    )


@require_safe
def device(request: HttpRequest) -> HttpResponse:
    """Ask for the code, or with one for the decision; only the POST that follows decides (RFC 8628, section 3.3)."""
    person(request)
    form = DeviceCode(request.GET if request.GET.get("code") else None)
    if form.is_valid():
        with form:
            waiting = verbs.find_waiting(form.cleaned_data["code"])
            code = verbs.format_code(waiting.user_code)
            answer = DeviceAnswer(initial={"code": code})
            context = {"waiting": waiting, "code": code, "days": verbs.TOKEN_DAYS, "form": answer}
            return render(request, "device_sign_in/device.html", context)
    return _ask_device_code(request, form)


def approve_device(request: HttpRequest) -> HttpResponse:
    person(request)
    form = DeviceAnswer(request.POST)
    if form.is_valid():
        with form:
            verbs.approve(form.cleaned_data["code"], form.cleaned_data["role"] or "write", caller(request))
            return render(request, "device_sign_in/device.html", {"done": "approved"})
    return _device_refused(request, form)


def deny_device(request: HttpRequest) -> HttpResponse:
    person(request)
    form = DeviceAnswer(request.POST)
    if form.is_valid():
        with form:
            verbs.deny(form.cleaned_data["code"], caller(request))
            return render(request, "device_sign_in/device.html", {"done": "denied"})
    return _device_refused(request, form)


def _device_refused(request: HttpRequest, form: DeviceAnswer) -> HttpResponse:
    again = DeviceCode(request.POST)
    if form.refusal:
        again.refuse(form.refusal)
    return _ask_device_code(request, again)


def _ask_device_code(request: HttpRequest, form: DeviceCode) -> HttpResponse:
    return render(request, "device_sign_in/device.html", {"form": form}, status=400 if form.errors else 200)


PAGES = Pages(
    routes=[
        routing.at("login/device", device, "device"),
        *routing.forms(
            "device",
            "login/device",
            ("approve", recent(approve_device), "approve-device"),
            ("deny", deny_device, "deny-device"),
        ),
    ],
    panels=(Panel("tokens", "device_sign_in/tokens.html"),),
)
