"""The act on the audit log that leaves an event, for tests/registry/test_audited_services.py."""

from django.utils import timezone

from features.audit_log import chain

SERVICES = {"audit:trim": lambda cast: lambda: chain.trim(timezone.now())}
