"""The rows of limits in the tests that walk all of REST, and the switch that asks for a proof."""

QUOTA = {"bytes": 10**9, "repositories": None, "reason": "x"}
ANSWERS = [
    ("PUT", "quotas/acme", "ada", QUOTA),
    ("GET", "quotas/acme", "ada", None),
    ("GET", "quotas", "ada", None),
    ("DELETE", "quotas/acme", "ada", None),
]
OF_A_PERSON = {"quotas/acme": "quotas/{ns}"}
BODIES = {("PUT", "/api/v1/quotas/acme"): {"bytes": 10**9, "repositories": 10, "reason": "x"}}
SPECIAL = {name: {"ns": "acme"} for name in ("quota", "set_quota", "reset_quota")}
SENT = {"set_quota": QUOTA}
DANGEROUS = ["moderation/site/change"]
