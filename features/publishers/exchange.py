"""The exchange of a CI job's identity token for an access token to one repository (RFC 8693)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from registry.kernel import audit, policy
from registry.kernel.errors import ExchangeRefused, NameInvalid
from registry.kernel.texts import names
from registry.models import PublishingRun, Repository, Token, TrustedPublisher, User
from registry.people.tokens import id_tokens, tokens

SECONDS = 3600  # that an access token lives
MAX_SHOWN = 500  # characters of a claim that are kept
MAX_RESOURCE = 300
_TYPES = {"models": "model", "datasets": "dataset", "spaces": "space"}


class Resource(NamedTuple):
    """The repository that a token is asked for."""

    type: str
    namespace: str
    name: str

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"


def exchange(subject_token: str, resource: str) -> str:
    """Return an access token that writes one repository for an hour, for the identity token of a CI job.

    The refusal is the same whether the repository does not exist or does not trust the job. Raises ExchangeRefused, and
    StoreUnavailable while the issuer of the identity token cannot be reached.
    """
    asked = parse_resource(resource)
    claims = id_tokens.verify(subject_token)
    publisher = _matching(asked, claims)
    if publisher is None:
        _note_refusal(asked, claims)
        raise ExchangeRefused(f"No trusted publisher of {asked.full_name} matches this job.", error="invalid_grant")
    try:
        with transaction.atomic():
            return _mint(publisher, claims)
    except IntegrityError as error:
        if not re.search("publishing_?run", str(error)):  # PostgreSQL names the constraint, SQLite the columns
            raise
        raise id_tokens.invalid("it was used before: let the CI system issue another one") from None


def parse_resource(resource: str) -> Resource:
    """Return the repository that a client names: its id or its address. Raises ExchangeRefused."""
    path = resource.removeprefix(f"{settings.PUBLIC_URL}/").strip("/") if len(resource) <= MAX_RESOURCE else ""
    kind, slash, rest = path.partition("/")
    type, full_name = (_TYPES[kind], rest) if slash and kind in _TYPES else ("model", path)
    try:
        namespace, name = names.split_id(full_name)
        return Resource(type, names.check_name(namespace), names.check_name(name))
    except NameInvalid:
        raise ExchangeRefused(
            "The resource is not a repository ID.",
            fix="Write it as namespace/name, datasets/namespace/name or spaces/namespace/name.",
            error="invalid_target",
        ) from None


def claims_match(pinned: Mapping[str, list[str]], claims: Mapping[str, Any]) -> bool:
    """Return whether the token has every claim that is pinned, with one of the accepted values."""
    return all(_accepts(values, _text(claims.get(claim))) for claim, values in pinned.items())


@dataclass(frozen=True, slots=True)
class Refusal:
    """The newest attempt of a publisher's own project that was refused: the claims that differ, as they were."""

    at: datetime
    claims: Mapping[str, str]


REFUSAL_SECONDS = 30 * 24 * 3600  # that a refusal is told


def last_refusal(publisher: TrustedPublisher) -> Refusal | None:
    """Return the newest refused attempt since the publisher was used last; None if there is none."""
    kept: tuple[float, dict[str, str]] | None = cache.get(_refusal_key(publisher))
    if kept is None:
        return None
    at, claims = datetime.fromtimestamp(kept[0], UTC), kept[1]
    is_over = publisher.last_used_at is not None and publisher.last_used_at > at
    return None if is_over else Refusal(at, claims)


def _note_refusal(asked: Resource, claims: Mapping[str, Any]) -> None:
    """Keep for the administrators what kept a job out; of jobs of other projects, which anybody can start, nothing."""
    for publisher in _rows(asked, claims["iss"]):
        project = id_tokens.REQUIRED.get(publisher.issuer, tuple(publisher.claims))[0]
        shown = shown_claims(publisher, claims)
        differing = {
            claim: shown.get(claim, "")
            for claim, values in publisher.claims.items()
            if not _accepts(values, _text(claims.get(claim)))
        }
        if differing and project not in differing:
            cache.set(_refusal_key(publisher), [timezone.now().timestamp(), differing], REFUSAL_SECONDS)


def _refusal_key(publisher: TrustedPublisher) -> str:
    return f"publisher-refused:{publisher.pk}"


def _accepts(values: list[str], value: str | None) -> bool:
    if value is None:
        return False
    return any(value.startswith(good[:-1]) if good.endswith("*") else value == good for good in values)


def _text(value: object) -> str | None:
    """Return the text of a claim; lists and objects have none: an issuer's own way to match them is not known here."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None


def _matching(asked: Resource, claims: Mapping[str, Any]) -> TrustedPublisher | None:
    matching = (publisher for publisher in _rows(asked, claims["iss"]) if claims_match(publisher.claims, claims))
    return next((publisher for publisher in matching if _is_usable(publisher)), None)


def _rows(asked: Resource, issuer: str) -> QuerySet[TrustedPublisher]:
    """Return the publishers of a repository, which may not exist yet, of one CI system."""
    there = Q(
        repository__type=asked.type,
        repository__namespace__name__lower=asked.namespace.lower(),
        repository__name__lower=asked.name.lower(),
    )
    pending = Q(
        repository=None,
        type=asked.type,
        namespace__name__lower=asked.namespace.lower(),
        name__lower=asked.name.lower(),
    )
    rows = TrustedPublisher.objects.filter(there | pending, issuer=issuer, account__is_active=True)
    return rows.select_related("account", "namespace", "repository__namespace__person").order_by("pk")


def _is_usable(publisher: TrustedPublisher) -> bool:
    repository: Repository | None = publisher.repository
    if repository is None:
        person: User | None = getattr(publisher.namespace, "person", None)  # an organisation has none
        return person is None or person.is_active
    return repository.namespace_id == publisher.namespace_id and not policy.is_withheld(repository)


def _mint(publisher: TrustedPublisher, claims: Mapping[str, Any]) -> str:
    now, value = timezone.now(), tokens.new_value()
    digest = hashlib.sha256(claims["jti"].encode("utf-8", "surrogatepass")).hexdigest()
    _forget(publisher, now)
    run = PublishingRun.objects.create(
        publisher=publisher,
        issuer=publisher.issuer,
        jti_sha256=digest,
        claims=shown_claims(publisher, claims),
        started_at=now,
        expires_at=datetime.fromtimestamp(claims["exp"] + id_tokens.LEEWAY, UTC),
    )
    right = "write" if publisher.repository else "create"
    columns = tokens.token_columns(
        f"run {run.pk}",
        Token.Role.FINE_GRAINED,
        value,
        now + timedelta(seconds=SECONDS),
        {publisher.full_name: right},
        tokens.MACHINE_GRANTS,
    )
    run.token = Token.objects.create(user=publisher.account, **columns)
    run.save(update_fields=["token"])
    TrustedPublisher.objects.filter(pk=publisher.pk).update(last_used_at=now)
    about = publisher.repository or publisher.namespace
    audit.record(publisher.account, "publisher:exchange", publisher.full_name, about=about, after=run.claims)
    return value


def _forget(publisher: TrustedPublisher, now: datetime) -> None:
    """Delete the publisher's expired tokens, and runs that published nothing once their identity token has expired."""
    Token.objects.filter(user=publisher.account, expires_at__lt=now).delete()
    PublishingRun.objects.filter(publisher=publisher, expires_at__lt=now, token=None, revisions=None).delete()


def shown_claims(publisher: TrustedPublisher, claims: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims that pages show of a job."""
    texts = {claim: _text(claims.get(claim)) for claim in dict.fromkeys([*id_tokens.SHOWN, *publisher.claims])}
    return {claim: text[:MAX_SHOWN] for claim, text in texts.items() if text and text.isprintable()}
