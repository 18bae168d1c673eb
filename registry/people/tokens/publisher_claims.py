"""The claims of identity tokens that a trusted publisher pins: which may be pinned, and which must be."""

import re
from collections.abc import Iterable, Mapping

from django.conf import settings

from registry.kernel.errors import ValueInvalid
from registry.people.tokens import ci_systems

MAX_CLAIMS, MAX_VALUES = 20, 20
_CLAIM = re.compile(r"[A-Za-z0-9_./:-]{1,100}")
_VALUE = re.compile(r"[ -~]{1,255}")
_REGISTERED = {"iss", "aud", "exp", "nbf", "iat", "jti"}  # checked for every token


def check_claims(issuer: str, claims: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return the claims as they are stored, or raise ValueInvalid."""
    if issuer not in settings.CI_ISSUERS:
        raise ValueInvalid(
            f"This hub does not accept identity tokens of {issuer[:200]!r}.",
            fix=f"Use one of {', '.join(settings.CI_ISSUERS)}, or ask the operator to add it to DOVETAIL_CI_ISSUERS.",
        )
    pinned = {claim: list(dict.fromkeys(values)) for claim, values in claims.items()}
    for claim, values in pinned.items():
        _check_claim(claim, values)
    exact = {claim for claim, values in pinned.items() if not any(value.endswith("*") for value in values)}
    required = ci_systems.REQUIRED.get(issuer, ())
    if missing := [claim for claim in required if claim not in pinned]:
        raise ValueInvalid(
            f"A publisher of {issuer} must pin {', '.join(missing)}.",
            fix="Without it, jobs of other people would match.",
        )
    if not exact or (required and required[0] not in exact):
        raise ValueInvalid(
            f"No claim is pinned to whole values{f', {required[0]} must be' if required else ''}.",
            fix="Pin the project by its whole name, without `*`.",
        )
    if len(pinned) > MAX_CLAIMS:
        raise ValueInvalid(f"{len(pinned)} claims are pinned.", fix=f"Pin at most {MAX_CLAIMS}.")
    return pinned


def _check_claim(claim: str, values: list[str]) -> None:
    if not _CLAIM.fullmatch(claim) or claim in _REGISTERED:
        raise ValueInvalid(f"The claim {claim[:100]!r} cannot be pinned.", fix="Pin claims about the job, such as sub.")
    if not 0 < len(values) <= MAX_VALUES:
        raise ValueInvalid(f"The claim {claim} has {len(values)} values.", fix=f"Give it 1 to {MAX_VALUES}.")
    for value in values:
        if not _VALUE.fullmatch(value) or "*" in value[:-1] or value == "*":
            raise ValueInvalid(
                f"The claim {claim} cannot be {value[:255]!r}.",
                fix="Use up to 255 ASCII characters; a `*` stands for any rest, at the end and after a beginning.",
            )
