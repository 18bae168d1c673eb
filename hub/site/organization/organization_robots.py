"""The robots of an organisation as its administrators see them: make one, give it tokens, remove it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from hub.addresses import origin
from hub.site.forms import posted
from hub.site.forms.organization.robots import NewRobot, NewRobotToken
from hub.site.visitor import caller, person
from registry.people import accounts
from registry.people.organizations import robots


@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest, ns: str) -> HttpResponse:
    """List the robots; POST makes one."""
    name = _organization(request, ns)
    rows = robots.list_robots(name, caller(request))
    form = NewRobot(posted(request))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            made = robots.create_robot(name, given["name"], caller(request), purpose=given["purpose"])
            return redirect("robot", name, made.robot_name)
    context = {"organization": name, "robots": rows, "form": form}
    return render(request, "site/organization_robots.html", context, status=form.status)


@require_http_methods(["GET", "POST"])
def one(request: HttpRequest, ns: str, robot: str) -> HttpResponse:
    """Show a robot; POST makes a token and shows its value in the answer itself, the only time it is ever shown."""
    name, value = _organization(request, ns), ""
    by = caller(request)
    form = NewRobotToken(posted(request), organization=name)
    row = robots.get_robot(name, robot, by)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            value = robots.create_token(name, robot, given["name"], form.grants(), given["expires"], by)
            row = robots.get_robot(name, robot, by)
    context = {
        "organization": name,
        "robot": row,
        "form": NewRobotToken(organization=name) if value else form,
        "value": value,
        "address": origin(request),
        "tokens": row.tokens.all(),
    }
    return render(request, "site/robot.html", context, status=form.status)


@require_POST
def revoke(request: HttpRequest, ns: str, robot: str, token_id: int) -> HttpResponse:
    name = _organization(request, ns)
    robots.revoke_token(name, robot, token_id, caller(request))
    return redirect("robot", name, robot)


@require_POST
def remove(request: HttpRequest, ns: str, robot: str) -> HttpResponse:
    name = _organization(request, ns)
    robots.remove_robot(name, robot, caller(request))
    return redirect("organization-robots", name)


def _organization(request: HttpRequest, ns: str) -> str:
    person(request)
    return accounts.resolve_namespace(ns).name
