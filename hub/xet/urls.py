"""The Xet routes we speak; hf_xet takes 404 for an answer on all others and goes a simpler way."""

from django.urls import path, re_path

from hub.xet import reading, views
from hub.xet.tickets import Scope

_TICKET = r"^api/{type}s/(?P<full_name>[^/]+/[^/]+)/xet-{scope}-token/(?P<rev>.+)$"

urlpatterns = [
    re_path(_TICKET.format(type=type, scope=scope.value), views.ticket, {"type": type, "scope": scope})
    for type in ("model", "dataset")
    for scope in Scope
]
urlpatterns += [
    path("xet/v1/xorbs/default/<str:name>", views.xorb),
    path("xet/v1/shards", views.shard),
    path("xet/v1/reconstructions/<str:file_id>", reading.reconstruction),
    path("xet/v1/ranges", reading.piece),
    path("xet/shards", views.shard),  # hf_xet 1.5
    path("xet/v1/telemetry", views.telemetry),
    path("v1/telemetry", views.telemetry),
    path("xet/<path:path>", views.unknown),
]
