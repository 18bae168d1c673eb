"""Identity tokens of CI jobs (OpenID Connect): proves that an issuer which this hub allows signed one for this hub.

Only the issuer's own keys count: nothing in the token says where keys are. Only RS256 and ES256 are accepted, each with
keys of its own kind, so no public key can pass for a shared secret. The CI systems are here too: their issuers, what a
publisher must pin, and links to a job.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jwt
from django.conf import settings
from django.core.cache import cache

from registry.kernel import outbound_http
from registry.kernel.errors import ExchangeRefused, StoreUnavailable
from registry.kernel.outbound_http import Unreachable
from registry.models import Revision

LEEWAY = 60  # seconds that the clocks of issuer and hub may differ
MAX_TOKEN = 16 << 10  # characters
MAX_LIFETIME = 24 * 3600  # seconds from iat to exp: so long the hub must remember that a token was used
MAX_DOCUMENT = 256 << 10  # bytes of an issuer's configuration or keys
MAX_KEYS = 50
FETCH_SECONDS = 5.0
KEYS_SECONDS = 3600  # keys are kept so long
AGAIN_SECONDS = 60  # for a key that is not among them, the issuer is asked at most so often
UNREACHABLE_SECONDS = 15  # an issuer that did not answer is left alone so long
ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}  # by the kind of key
MIN_RSA_BITS = 2048
_MISLEADING = {"jku", "jwk", "x5u", "x5c", "crit", "b64"}  # headers that name keys, or change what is signed
_MAX_JTI = 500
NOT_JWT = "it is not a JSON Web Token"
Keys = dict[str, dict[str, Any]]  # by id, as a JWK set has them
Claims = Mapping[str, Any]  # of an identity token, whose issuer chooses their names and types


def verify(token: str) -> Claims:
    """Return the claims of an identity token that was issued for this hub.

    Raises ExchangeRefused with the defect of the token, and StoreUnavailable while the issuer cannot be reached.
    """
    if len(token) > MAX_TOKEN:
        raise invalid(f"it is longer than {MAX_TOKEN:,} characters")
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise invalid(NOT_JWT) from None
    if not isinstance(issuer, str) or issuer not in settings.CI_ISSUERS:
        raise invalid("this hub does not allow its issuer (DOVETAIL_CI_ISSUERS)")
    options = {"require": ["iss", "aud", "exp", "iat", "jti"], "strict_aud": True}
    claims = signed_claims(token, issuer, settings.PUBLIC_URL, _fetch, options)
    _check_bounds(claims)
    return claims


def signed_claims(
    token: str, issuer: str, audience: str, read_keys: Callable[[str], Keys], options: Mapping[str, Any]
) -> Claims:
    """Return the claims that an issuer signed for an audience; `options` are those of jwt.decode.

    `read_keys` is called for the issuer's keys where they are not kept. Raises ExchangeRefused, and what it raises.
    """
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise invalid(NOT_JWT) from None
    key = _key(issuer, _key_id(header), read_keys)
    bounds: dict[str, Any] = {"audience": audience, "issuer": issuer, "leeway": LEEWAY, "options": options}
    try:
        claims: Claims = jwt.decode(token, key, algorithms=[key.algorithm_name], **bounds)
    except (jwt.InvalidTokenError, ValueError, OverflowError, RecursionError) as problem:
        raise invalid(_defect(problem, audience)) from None
    return claims


def invalid(defect: str) -> ExchangeRefused:
    """Return the refusal of an identity token for a defect, which completes the sentence "it is …"."""
    return ExchangeRefused(f"The identity token was refused: {defect}.", error="invalid_grant")


def _key_id(header: Mapping[str, object]) -> str:
    if header.get("alg") not in ALGORITHMS.values():
        raise invalid("its algorithm is not RS256 or ES256")
    if misleading := sorted(_MISLEADING & header.keys()):
        raise invalid(f"its header holds {', '.join(misleading)}")
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not key_id:
        raise invalid("its header names no key (kid)")
    return key_id


def _defect(problem: Exception, audience: str) -> str:
    """Return the defect in words of this hub; the library's own may quote the token."""
    if isinstance(problem, jwt.InvalidAudienceError):
        return f"its audience (aud) is not exactly {audience}"
    if isinstance(problem, jwt.ExpiredSignatureError):
        return "it has expired"
    if isinstance(problem, jwt.ImmatureSignatureError):
        return "it is not valid yet: compare the clocks"
    if isinstance(problem, jwt.MissingRequiredClaimError):
        return f"it lacks the claim {problem.claim}"
    if isinstance(problem, jwt.InvalidSignatureError):
        return "its signature is not its issuer's"
    return "a claim of it has a wrong form"


def _check_bounds(claims: Claims) -> None:
    if not isinstance(claims["jti"], str) or not 0 < len(claims["jti"]) <= _MAX_JTI:
        raise invalid("its own id (jti) is not a short text")
    if any(isinstance(claims[name], bool) or not isinstance(claims[name], int | float) for name in ("exp", "iat")):
        raise invalid("its times (exp, iat) are not numbers")  # the library takes texts of digits
    if claims["exp"] - claims["iat"] > MAX_LIFETIME:
        raise invalid("it is valid for more than a day")


# --- the issuers' keys -----------------------------------------------------------------------------------------------
def _key(issuer: str, key_id: str, read_keys: Callable[[str], Keys]) -> jwt.PyJWK:
    """Return a key of an issuer, reading again for one that is new. Raises ExchangeRefused, and what that does."""
    keys = cache.get(_slot("keys", issuer))
    if keys is None or (key_id not in keys and cache.add(_slot("again", issuer), True, AGAIN_SECONDS)):
        keys = read_keys(issuer)
        cache.set(_slot("keys", issuer), keys, KEYS_SECONDS)
    if key_id not in keys:
        raise invalid("its issuer has no such key (kid)")
    kind = keys[key_id]["kty"]
    return jwt.PyJWK(keys[key_id], algorithm=ALGORITHMS[kind])


def _fetch(issuer: str) -> Keys:
    """Read the keys of an issuer, by id. Raises StoreUnavailable."""
    if cache.get(_slot("unreachable", issuer)):
        raise _unavailable(issuer)
    try:
        configuration = _document(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        address = configuration.get("jwks_uri")
        if configuration.get("issuer") != issuer or not isinstance(address, str):
            raise Unreachable(f"The configuration of {issuer} is of another issuer, or names no keys.")
        if issuer.startswith("https:") and not address.startswith("https:"):
            raise Unreachable(f"The keys of {issuer} are not at an https address.")
        return usable_keys(_document(address))
    except Unreachable as problem:
        cache.set(_slot("unreachable", issuer), True, UNREACHABLE_SECONDS)
        raise _unavailable(issuer) from problem


def _document(url: str) -> Mapping[str, object]:
    try:
        document = json.loads(outbound_http.get(url, seconds=FETCH_SECONDS, most=MAX_DOCUMENT))
    except (ValueError, RecursionError):
        raise Unreachable(f"{url} is not JSON.") from None
    if not isinstance(document, dict):
        raise Unreachable(f"{url} is not a JSON object.")
    return document


def usable_keys(document: Mapping[str, object]) -> Keys:
    """Return the signing keys of a JWK set by id: RSA keys of 2,048 bits or more, and EC keys on P-256."""
    entries = document.get("keys")
    keys: Keys = {}
    for entry in entries[:MAX_KEYS] if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("kid"), str) and _is_usable(entry):
            keys[entry["kid"]] = entry
    return keys


def _is_usable(entry: dict[str, Any]) -> bool:
    algorithm = ALGORITHMS.get(str(entry.get("kty")))
    if algorithm is None or entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return False
    if algorithm == "ES256" and entry.get("crv") != "P-256":
        return False
    try:
        key = jwt.PyJWK(entry, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return algorithm == "ES256" or int(key.key_size) >= MIN_RSA_BITS


def _slot(what: str, issuer: str) -> str:
    return f"id-tokens:{what}:{issuer}"


def _unavailable(issuer: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The keys of {issuer} cannot be read now.",
        fix="Try again in a minute; if it still fails, an administrator of this hub can find the reason in its log.",
    )


GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"

# Claims without which everybody's jobs would match, because the issuer signs for everybody.
REQUIRED: dict[str, tuple[str, ...]] = {
    GITHUB: ("repository", "repository_owner_id", "workflow_ref"),
    GITLAB: ("project_path",),
}
# Claims that pages show of a job, if its token has them; those that the publisher pins are shown too.
SHOWN = """
    sub repository repository_owner workflow_ref job_workflow_ref ref sha run_id run_attempt event_name environment
    actor project_path pipeline_id job_id ci_config_ref_uri ref_protected user_login
""".split()  # noqa: SIM905  # a list of words reads better without eighty pairs of quotes
_PATH = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)+")
_NUMBER = re.compile(r"[0-9]{1,20}")
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


class JobLinks(NamedTuple):
    """The pages of a job at its CI system; "" where they are not known."""

    run: str
    commit: str


def links(issuer: str, claims: Mapping[str, str]) -> JobLinks:
    """Return the pages of the job and of its commit, by the claims of its token."""
    if issuer == GITHUB:
        project, job, base = claims.get("repository", ""), claims.get("run_id", ""), "https://github.com"
        run, commit = f"{base}/{project}/actions/runs/{job}", f"{base}/{project}/commit/"
    else:  # GitLab's claims, whichever host its instance has
        parts = urlsplit(issuer)
        project, job, base = (
            claims.get("project_path", ""),
            claims.get("job_id", ""),
            f"{parts.scheme}://{parts.netloc}",
        )
        run, commit = f"{base}/{project}/-/jobs/{job}", f"{base}/{project}/-/commit/"
    sha = claims.get("sha", "")
    if not _PATH.fullmatch(project):
        return JobLinks("", "")
    return JobLinks(run if _NUMBER.fullmatch(job) else "", commit + sha if _COMMIT.fullmatch(sha) else "")


class Provenance(NamedTuple):
    """The CI job that published a version, as pages and REST show it."""

    publisher: str  # "" when it was removed since
    issuer: str
    project: str
    job: str
    run_url: str
    commit: str
    commit_url: str
    claims: dict[str, str]


def provenance(revision: Revision) -> Provenance | None:
    """Return the CI job that published a version; None if a person or robot pushed it."""
    run = revision.run
    if run is None:
        return None
    claims: dict[str, str] = run.claims
    to_job, to_commit = links(run.issuer, claims)
    return Provenance(
        publisher=str(run.publisher) if run.publisher else "",
        issuer=run.issuer,
        project=claims.get("repository") or claims.get("project_path") or claims.get("sub", ""),
        job=claims.get("run_id") or claims.get("job_id", ""),
        run_url=to_job,
        commit=claims.get("sha", ""),
        commit_url=to_commit,
        claims=claims,
    )
