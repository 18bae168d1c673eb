"""The Xet routes we speak; hf_xet takes 404 for an answer on all others and goes a simpler way."""

from django.urls import URLPattern, URLResolver, include, path, re_path

from hub.xet import views
from hub.xet.tickets import Scope

app_name = "xet"  # names of routes begin with it: xet:read-token
_TICKET = r"^{type}s/(?P<full_name>[^/]+/[^/]+)/xet-{scope}-token/(?P<rev>.+)$"

_TICKETS = [
    re_path(
        _TICKET.format(type=type, scope=scope.value),
        views.ticket,
        {"type": type, "scope": scope},
        name=f"{scope.value}-token",
    )
    for type in ("model", "dataset", "space")
    for scope in Scope
]
_SERVED = [
    path("v1/xorbs/default/<str:name>", views.xorb, name="xorb"),
    path("v1/shards", views.shard, name="shard"),
    path("v1/reconstructions/<str:file_id>", views.reconstruction, {"version": 1}, name="reconstruction-v1"),
    path("v2/reconstructions/<str:file_id>", views.reconstruction, {"version": 2}, name="reconstruction-v2"),
    path("v1/chunks/<str:prefix>/<str:name>", views.chunk, name="chunk"),
    path("v1/ranges", views.piece_bytes, name="ranges"),
    path("shards", views.shard),  # hf_xet 1.5
    path("v1/telemetry", views.telemetry, name="telemetry"),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include(_TICKETS)),
    path("xet/", include(_SERVED)),
    path("xet/at/<str:store>/", include(_SERVED)),  # what tickets name; see tickets.store_name
    path("v1/telemetry", views.telemetry),
    path("xet/<path:path>", views.unknown),
]
