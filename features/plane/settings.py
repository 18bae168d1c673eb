"""Reads DOVETAIL_PLANE_URL and _BYTES: where readers find `plane/` of the store, and whether downloads lead there."""

from django.core.exceptions import ImproperlyConfigured

from hub.environment import Environment, http_url, one_of


def SETTINGS(env: Environment) -> dict[str, object]:  # as hub/settings.py looks for it
    """Return the settings of the read plane. Raises ImproperlyConfigured."""
    url, leads_there = env("PLANE_URL", http_url, default=""), env("PLANE_BYTES", one_of("on", "off"), default="off")
    if leads_there == "on" and not url:
        raise ImproperlyConfigured("DOVETAIL_PLANE_BYTES=on needs DOVETAIL_PLANE_URL, the address of the bytes.")
    return {
        "PLANE_URL": url,  # empty: there is no read plane
        "PLANE_BYTES": leads_there == "on",
        "PLANE_DOORBELL": "hub.celery.write_plane",  # called after a commit that asks for documents of the read plane
    }
