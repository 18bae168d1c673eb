"""The acts on backups that leave an event, for tests/registry/test_audited_services.py."""

SERVICES: dict[str, object] = {}
PROVEN_ELSEWHERE = {"backup:make": "features/backups/tests/test_backups.py"}
