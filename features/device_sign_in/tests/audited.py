"""The answers to a program's sign-in that leave an event, for tests/registry/test_audited_services.py."""

from collections.abc import Callable
from typing import Any

from features.device_sign_in import verbs


def _answered(answer: Callable[..., object], *more: str) -> Callable[[Any], Callable[[], object]]:
    def scenario(cast: Any) -> Callable[[], object]:
        code = verbs.begin_sign_in("hf").user_code
        return lambda: answer(code, *more, cast.session("alice"))

    return scenario


SERVICES = {
    "sign-in:approved": _answered(verbs.approve, "read"),
    "sign-in:denied": _answered(verbs.deny),
}
