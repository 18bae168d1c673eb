"""The rows of webhooks in the tests that walk all routes."""

HOOK = {"url": "https://ci.example.org/hook", "watched": "acme", "domains": "repo", "secret": "s3cret-of-a-hook"}
GIVING = [("alice", "POST", "settings/webhooks", HOOK)]
DANGEROUS = ["settings/webhooks/<number>/change"]  # where events go; test_pages.py, as it needs the number of one
