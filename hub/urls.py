"""The beginning of each family of routes; the site comes last, because it takes every /{ns} and /{ns}/{name}."""

from django.urls import include, path

import features
from hub.hf import account, dialect
from hub.monitoring import health

handler404 = "hub.site.refusals.no_route"
handler500 = "hub.site.refusals.broken"
for grants in features.parts("GRANTS", dict, "wire"):
    account.GRANTS.update(grants)
dialect.places[:] = features.parts("ELSEWHERE", dialect.Elsewhere, "wire")
urlpatterns = [
    path("livez", health.livez),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics),
    path("api/v1/", include("hub.api.urls")),
    *(route for routes in features.parts("WIRE", list, "wire") for route in routes),
    path("", include("hub.hf.urls")),  # which answers whatever else begins with api/
    path("", include("hub.site.urls")),
]
