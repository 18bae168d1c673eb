"""The rows of Xet in the tests that walk all routes."""

READING = ["/api/models/{id}/xet-read-token/main"]
WRITING = ["/api/models/{id}/xet-write-token/main"]
WITHOUT_TOKEN = [f"xet/{store}v1/{name}" for store in ("", "at/<store>/") for name in ("telemetry", "ranges")]
