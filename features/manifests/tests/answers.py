"""The rows of manifests in the tests that walk all of REST."""

UNANSWERED = {"kubernetes_manifest": "test_manifests.py: something must serve it"}
