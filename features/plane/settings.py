"""Reads DOVETAIL_PLANE_URL: where readers find `plane/` of the store; empty: there is no read plane."""

from hub.environment import Environment, http_url


def SETTINGS(env: Environment) -> dict[str, object]:  # as hub/settings.py looks for it
    """Return the settings of the read plane. Raises ImproperlyConfigured."""
    return {
        "PLANE_URL": env("PLANE_URL", http_url, default=""),
        "PLANE_DOORBELL": "hub.celery.write_plane",  # called after a commit that asks for documents of the read plane
    }
