"""The switches of the hub and its banner, for administrators; every change is in the audit log."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from hub.site.administration.staff import for_administrators
from hub.site.forms import Form, status_of
from hub.site.forms.moderation import BannerForm, Switches
from hub.site.visitor import caller
from registry.kernel import policy, site_settings
from registry.kernel.site_settings import Banner


@for_administrators
@require_safe
def site(request: HttpRequest) -> HttpResponse:
    return _page(request)


@for_administrators
@require_POST
def change(request: HttpRequest) -> HttpResponse:
    by = policy.require_admin(caller(request))
    form = Switches(request.POST)
    if form.is_valid():
        with form:
            for name, value in form.cleaned_data.items():
                site_settings.change_setting(name, value, by)
            messages.success(request, gettext("The settings of the site are saved."))
            return redirect("site-switches")
    return _page(request, switches=form)


@for_administrators
@require_POST
def set_banner(request: HttpRequest) -> HttpResponse:
    """Set the banner, show how it would look (`preview`), or take it away (`remove`)."""
    by = policy.require_admin(caller(request))
    if "remove" in request.POST:
        site_settings.change_banner(None, by)
        messages.success(request, gettext("The banner is removed."))
        return redirect("site-switches")
    form = BannerForm(request.POST)
    if form.is_valid():
        with form:
            wanted = site_settings.check_banner(form.banner())
            if "preview" in request.POST:
                return _page(request, wanted, banner=form)
            site_settings.change_banner(wanted, by)
            messages.success(request, gettext("The banner is saved."))
            return redirect("site-switches")
    return _page(request, banner=form)


def _page(request: HttpRequest, preview: Banner | None = None, **tried: Form) -> HttpResponse:
    """Show the switches and the banner with their forms; `tried` is the one that was refused or previewed."""
    site_settings.clear_cache()  # another process may have made the change that ended here, and its page must show it
    stored = site_settings.stored_banner()
    forms: dict[str, Form] = {
        "switches": Switches(initial={name: site_settings.get_setting(name) for name in site_settings.CHOICES}),
        "banner": BannerForm(initial=stored.document() if stored else None),
    }
    context = {"forms": forms | tried, "stored": stored, "preview": preview}
    return render(request, "site/moderation/site.html", context, status=status_of(tried))
