"""The page on which a signed-in person lets a program sign in: its code, and yes or no (RFC 8628, section 3.3)."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from hub.site.forms.account.tokens import DeviceAnswer, DeviceCode
from hub.site.visitor import caller, person
from registry.people.tokens import devices


@require_safe
def device(request: HttpRequest) -> HttpResponse:
    """Ask for the code, or with one for the decision; only the POST that follows decides."""
    person(request)
    form = DeviceCode(request.GET if request.GET.get("code") else None)
    if form.is_valid():
        with form:
            waiting = devices.find_waiting(form.cleaned_data["code"])
            code = devices.format_code(waiting.user_code)
            answer = DeviceAnswer(initial={"code": code})
            context = {"waiting": waiting, "code": code, "days": devices.TOKEN_DAYS, "form": answer}
            return render(request, "site/device.html", context)
    return _ask_again(request, form)


@require_POST
def approve(request: HttpRequest) -> HttpResponse:
    person(request)
    form = DeviceAnswer(request.POST)
    if form.is_valid():
        with form:
            devices.approve(form.cleaned_data["code"], form.cleaned_data["role"] or "write", caller(request))
            return render(request, "site/device.html", {"done": "approved"})
    return _refused(request, form)


@require_POST
def deny(request: HttpRequest) -> HttpResponse:
    person(request)
    form = DeviceAnswer(request.POST)
    if form.is_valid():
        with form:
            devices.deny(form.cleaned_data["code"], caller(request))
            return render(request, "site/device.html", {"done": "denied"})
    return _refused(request, form)


def _refused(request: HttpRequest, form: DeviceAnswer) -> HttpResponse:
    again = DeviceCode(request.POST)
    if form.refusal:
        again.refuse(form.refusal)
    return _ask_again(request, again)


def _ask_again(request: HttpRequest, form: DeviceCode) -> HttpResponse:
    return render(request, "site/device.html", {"form": form}, status=400 if form.errors else 200)
