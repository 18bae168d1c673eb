"""The looks of the raw tables."""

from django.templatetags.static import static
from django.urls import reverse_lazy

from hub.environment import Environment

UNFOLD = {
    "SITE_TITLE": "Dovetail",
    "SITE_HEADER": "Dovetail",
    "SITE_URL": reverse_lazy("home"),
    "ACCOUNT": {"navigation": [{"title": "Change password", "link": reverse_lazy("password")}]},
    "SITE_ICON": lambda request: static("img/favicon.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/favicon.svg")}],
    "COLORS": {  # the spruce of the website
        "primary": {
            "50": "#e3f1ec",
            "100": "#cfe7df",
            "200": "#a6d6c7",
            "300": "#6ad6ba",
            "400": "#4cc3a5",
            "500": "#0f8a70",
            "600": "#0b6e5a",
            "700": "#095a4a",
            "800": "#12302a",
            "900": "#0c231e",
            "950": "#06231c",
        }
    },
}


def SETTINGS(env: Environment) -> dict[str, object]:  # as hub/settings.py looks for it
    """Return the settings of Unfold; the environment has none of them."""
    return {"UNFOLD": UNFOLD}
