"""The OCI routes. A name has two parts, namespace/name; clients write it in lower case, and it is found in any."""

from django.urls import include, path

from hub.oci import blobs, lists, manifests, token
from hub.oci.dialect import Unserved

app_name = "oci"

OF_A_REPOSITORY = [
    path("manifests/<str:reference>", manifests.Manifest.as_view(), name="manifest"),
    path("blobs/<str:digest>", blobs.Blob.as_view(), name="blob"),
    path("tags/list", lists.Tags.as_view(), name="tags"),
    path("referrers/<str:digest>", lists.Referrers.as_view(), name="referrers"),
]
urlpatterns = [
    path("v2", token.Check.as_view()),
    path("v2/", token.Check.as_view(), name="check"),
    path("v2/token", token.Token.as_view(), name="token"),
    path("v2/<str:ns>/<str:name>/", include(OF_A_REPOSITORY)),
    path("v2/<path:path>", Unserved.as_view()),
]
