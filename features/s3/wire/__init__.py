"""The S3 routes. Bucket `hub` holds all repositories; every other bucket is the namespace of that name."""

from django.urls import include, path

from features.s3.wire import objects

ROUTES = [
    path("s3", objects.Service.as_view(), name="service"),
    path("s3/", objects.Service.as_view()),
    path("s3/<str:bucket>", objects.Bucket.as_view(), name="bucket"),
    path("s3/<str:bucket>/", objects.Bucket.as_view()),
    path("s3/<str:bucket>/<path:object_key>", objects.Object.as_view(), name="object"),
]
WIRE = [path("", include((ROUTES, "s3")))]
