"""Programs' sign-ins in the domain: those of a person go where the account goes, or all of its tokens."""

from features.device_sign_in.models import DeviceLogin
from registry.kernel.seams import Feature
from registry.models import User


def _forget(user: User) -> None:
    DeviceLogin.objects.filter(user=user).delete()


FEATURE = Feature(forget=_forget, tokens_revoked=_forget)
