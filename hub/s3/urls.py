"""The S3 routes. Bucket `hub` holds all repositories; every other bucket is the namespace of that name."""

from django.urls import path

from hub.s3 import buckets, objects

app_name = "s3"

urlpatterns = [
    path("s3", buckets.Service.as_view(), name="service"),
    path("s3/", buckets.Service.as_view()),
    path("s3/<str:bucket>", buckets.Bucket.as_view(), name="bucket"),
    path("s3/<str:bucket>/", buckets.Bucket.as_view()),
    path("s3/<str:bucket>/<path:object_key>", objects.Object.as_view(), name="object"),
]
