"""CORS: what pages of other origins may ask where the operator names these: REST, and reading by the Hub's routes."""

PATHS = r"^/(?:verified/)?(?:api/|xet/|(?:datasets/|spaces/)?[^/]+/[^/]+/resolve/|[^/]+/resolve/)"
ASKED = (
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "range",
    "user-agent",
    "x-csrftoken",
    "x-requested-with",
)
TOLD = (
    "Content-Range",
    "Deprecation",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Sunset",
    "X-Dovetail-View",
    "X-Dovetail-Yanked",
    "X-Error-Code",
    "X-Error-Message",
    "X-Linked-Etag",
    "X-Linked-Size",
    "X-Repo-Commit",
    "X-Request-Id",
    "X-Xet-Hash",
)
