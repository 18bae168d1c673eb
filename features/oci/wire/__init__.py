"""The OCI routes. A name has two parts, namespace/name; clients write it in lower case, and it is found in any."""

from django.urls import URLPattern, URLResolver, include, path

from features.oci.wire import contents
from features.oci.wire.dialect import Unserved

OF_A_REPOSITORY = [
    path("manifests/<str:reference>", contents.Manifest.as_view(), name="manifest"),
    path("blobs/<str:digest>", contents.Blob.as_view(), name="blob"),
    path("tags/list", contents.Tags.as_view(), name="tags"),
    path("referrers/<str:digest>", contents.Referrers.as_view(), name="referrers"),
]
ROUTES: list[URLPattern | URLResolver] = [
    path("v2", contents.Check.as_view()),
    path("v2/", contents.Check.as_view(), name="check"),
    path("v2/token", contents.Token.as_view(), name="token"),
    path("v2/<str:ns>/<str:name>/", include(OF_A_REPOSITORY)),
    path("v2/<path:path>", Unserved.as_view()),
]
WIRE = [path("", include((ROUTES, "oci")))]
