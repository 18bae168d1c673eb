"""The rows of programs' sign-ins in the tests that walk all routes."""

from datetime import timedelta

from django.utils import timezone

from features.device_sign_in.models import DeviceLogin
from tests.cast import Cast


def begin(cast: Cast) -> None:
    """Let a program wait for its sign-in."""
    ends = timezone.now() + timedelta(minutes=15)
    DeviceLogin.objects.create(sha256="d" * 64, user_code="BCDFGHJK", client="hf", expires_at=ends)


FURNISH = [begin]
GIVING = [("alice", "POST", "login/device/approve", {"code": "BCDF-GHJK", "role": "write"})]
FORMS = {"/login/device/approve": ("code", "role"), "/login/device/deny": ("code",)}
HUB = {("POST", "/oauth/device"): {"client_id": "x", "scope": "y"}}
UNREAD = {"/oauth/device": {("client_id",), ("scope",)}}
