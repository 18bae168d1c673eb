"""Trusted publishers: which CI jobs may publish to a repository without a secret. Their administrators decide."""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from registry.kernel import audit, policy
from registry.kernel.errors import Missing, NotAllowed, QuotaExceeded, SessionRequired, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.kernel.seams import Feature
from registry.kernel.texts import names
from registry.models import Membership, Namespace, Organization, Repository, Token, TrustedPublisher, User
from registry.people import accounts
from registry.people.provision import Entry, at
from registry.people.tokens import id_tokens

MAX_CLAIMS, MAX_VALUES = 20, 20
_CLAIM = re.compile(r"[A-Za-z0-9_./:-]{1,100}")
_VALUE = re.compile(r"[ -~]{1,255}")
_REGISTERED = {"iss", "aud", "exp", "nbf", "iat", "jti"}  # checked for every token


class PublisherNotFound(Missing):
    code = "publisher-not-found"


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
    required = id_tokens.REQUIRED.get(issuer, ())
    if missing := [claim for claim in required if claim not in pinned]:
        raise ValueInvalid(
            f"A publisher of {issuer} must pin {', '.join(missing)}.",
            fix="Without it, other people's jobs would match.",
        )
    if not exact or (required and required[0] not in exact):
        raise ValueInvalid(
            f"No claim is pinned to a complete value{f', {required[0]} must be' if required else ''}.",
            fix="Pin the project by its full name, without `*`.",
        )
    if len(pinned) > MAX_CLAIMS:
        raise ValueInvalid(f"{len(pinned)} claims are pinned.", fix=f"Pin at most {MAX_CLAIMS}.")
    return pinned


def _check_claim(claim: str, values: list[str]) -> None:
    if not _CLAIM.fullmatch(claim) or claim in _REGISTERED:
        raise ValueInvalid(
            f"The claim {claim[:100]!r} cannot be pinned.", fix="Pin claims that describe the job, such as sub."
        )
    if not 0 < len(values) <= MAX_VALUES:
        raise ValueInvalid(f"The claim {claim} has {len(values)} values.", fix=f"Use 1 to {MAX_VALUES}.")
    for value in values:
        if not _VALUE.fullmatch(value) or "*" in value[:-1] or value == "*":
            raise ValueInvalid(
                f"The claim {claim} cannot be {value[:255]!r}.",
                fix="Use up to 255 ASCII characters; `*` is allowed only at the end, after a prefix.",
            )


MAX_PUBLISHERS = 20  # of one repository, and pending ones of one namespace
_UNSLUGGED = re.compile(r"[^A-Za-z0-9._-]+")


def list_publishers(repository: Repository, by: Caller) -> list[TrustedPublisher]:
    """Return the publishers of a repository. Raises SessionRequired and what policy.require raises."""
    _require_session(by)
    policy.require(by, Permission.ARCHIVE, repository)
    return list(repository.publishers.select_related("account", "created_by"))


def list_pending(by: Caller) -> list[TrustedPublisher]:
    """Return the publishers of repositories that do not exist yet, in the namespaces that the caller administers.

    Raises SignInRequired, SessionRequired.
    """
    return list(_pending(by).select_related("account", "namespace", "created_by"))


def administered_namespaces(by: Caller) -> list[str]:
    """Return the names of the namespaces whose publishers the caller may decide about, the own one first."""
    rows = Namespace.objects.filter(pk__in=_administered(by)).order_by("-kind", "name")
    return [namespace.name for namespace in rows]


def trust(repository: Repository, issuer: str, claims: Mapping[str, Iterable[str]], by: Caller) -> TrustedPublisher:
    """Let jobs whose identity token has these claims publish to a repository.

    Raises SessionRequired, ValueInvalid, QuotaExceeded and what policy.require raises.
    """
    _require_session(by)
    with transaction.atomic():
        current = policy.require_now(by, Permission.CONFIGURE, repository)
        _check_number(current.publishers.all())
        return _create(current.namespace, current.name, current.type, issuer, claims, by, current)


def trust_pending(
    full_name: str, issuer: str, claims: Mapping[str, Iterable[str]], by: Caller, *, type: str = "model"
) -> TrustedPublisher:
    """Let such jobs publish to a repository that does not exist yet: the first push creates it.

    Raises SessionRequired, NotAllowed, NameInvalid, ValueInvalid, QuotaExceeded.
    """
    _require_session(by)
    namespace_name, name = names.split_id(full_name)
    names.check_name(name)
    if type not in Repository.Type.values:
        raise ValueInvalid(f"Unknown repository type {type[:20]!r}.", fix="Use model, dataset or space.")
    namespace = accounts.namespace_for_new(namespace_name)
    _require_administrator(namespace, by)
    rows = Repository.objects.select_related("namespace__person")
    if repository := rows.filter(type=type, namespace=namespace, name__lower=name.lower()).first():
        return trust(repository, issuer, claims, by)
    with transaction.atomic():
        _check_number(
            Namespace.objects.select_for_update(no_key=True).get(pk=namespace.pk).publishers.filter(repository=None)
        )
        return _create(namespace, name, type, issuer, claims, by, None)


def declare(namespace: Namespace, name: str, type: str, issuer: str, claims: Mapping[str, Iterable[str]]) -> bool:
    """Trust such jobs for the operator; return False if they are trusted already. Raises NameInvalid, ValueInvalid."""
    names.check_name(name)
    if type not in Repository.Type.values:
        raise ValueInvalid(f"Unknown repository type {type[:20]!r}.", fix="Use model, dataset or space.")
    rows = TrustedPublisher.objects.filter(namespace=namespace, name__lower=name.lower(), type=type)
    pinned = check_claims(issuer, claims)
    if any(row.issuer == issuer and row.claims == pinned for row in rows):
        return False
    repository = Repository.objects.filter(namespace=namespace, name__lower=name.lower(), type=type).first()
    with transaction.atomic():
        _check_number(rows)
        _create(namespace, name, type, issuer, claims, policy.NOBODY, repository)
    return True


def adopt(repository: Repository) -> None:
    """Give a repository the publishers that waited for its name; call it in the transaction that gives it this name."""
    waiting = TrustedPublisher.objects.filter(
        repository=None, type=repository.type, namespace=repository.namespace_id, name__lower=repository.name.lower()
    )
    waiting.update(repository=repository)


def remove(repository: Repository, number: int, by: Caller) -> None:
    """End the trust in a publisher, and its tokens. Raises PublisherNotFound, SessionRequired, policy.require's."""
    _require_session(by)
    policy.require(by, Permission.CONFIGURE, repository)
    _remove(repository.publishers.filter(pk=number), by.user, f"{repository.full_name} has no publisher {number}.")


def remove_pending(number: int, by: Caller) -> None:
    """Withdraw a pending publisher, and its tokens. Raises PublisherNotFound, SignInRequired, SessionRequired."""
    _remove(_pending(by).filter(pk=number), by.user, f"You have no pending publisher {number}.")


def require_namespace(name: str, by: Caller) -> Namespace:
    """Return a namespace whose publishers the caller decides about.

    Raises SessionRequired, SignInRequired, NamespaceNotFound, SecondFactorRequired, NotAllowed.
    """
    _require_session(by)
    policy.require_person(by, "manage trusted publishers")
    namespace = accounts.get_namespace(name)
    _require_administrator(namespace, by)
    return namespace


def list_in_namespace(name: str, by: Caller) -> QuerySet[TrustedPublisher]:
    """Return all publishers of a namespace, pending ones too. Raises what require_namespace raises."""
    rows = TrustedPublisher.objects.filter(namespace=require_namespace(name, by))
    return rows.select_related("account", "namespace", "repository__namespace", "created_by")


def remove_in_namespace(name: str, number: int, by: Caller) -> None:
    """End the trust in a publisher of a namespace. Raises PublisherNotFound and what require_namespace raises."""
    rows = TrustedPublisher.objects.filter(namespace=require_namespace(name, by), pk=number)
    _remove(rows, by.user, f"{name} has no publisher {number}.")


def disable(publisher: TrustedPublisher, by: Caller, *, reason: str, note: str = "") -> bool:
    """End the trust in a publisher as an administrator of the hub. Raises what policy.require_admin raises."""
    user = policy.require_admin(by)
    with transaction.atomic():
        _end(publisher, user, reason=reason, note=note)
    return True


def remove_all(repository: Repository, by: User | None) -> None:
    """End the trust in every publisher of a repository that is deleted or gets another owner."""
    for publisher in repository.publishers.select_related("account"):
        _end(publisher, by)


def set_publishers_only(repository: Repository, is_only: bool, by: Caller) -> None:
    """Refuse pushes by all tokens but those of trusted publishers, or allow them again.

    Raises SessionRequired, and what policy.require raises.
    """
    _require_session(by)
    with transaction.atomic():
        policy.require_now(by, Permission.CONFIGURE, repository)
        rows = Repository.objects.filter(pk=repository.pk, publishers_only=not is_only)
        if rows.update(publishers_only=is_only):
            before, after = not is_only, is_only
            name = repository.full_name
            audit.record(by.user, "adapter:publishers-only", name, about=repository, before=before, after=after)
    repository.publishers_only = is_only


def _create(
    namespace: Namespace,
    name: str,
    type: str,
    issuer: str,
    claims: Mapping[str, Iterable[str]],
    by: Caller,
    repository: Repository | None,
) -> TrustedPublisher:
    pinned = check_claims(issuer, claims)
    subject = next((pinned[claim][0] for claim in ("repository", "project_path", "sub") if claim in pinned), "ci")
    username = f"publisher:{_UNSLUGGED.sub('-', subject)[:70].strip('-')}-{secrets.token_hex(4)}"
    account = accounts.create_machine(username, User.Kind.PUBLISHER, namespace)
    publisher = TrustedPublisher.objects.create(
        type=type,
        namespace=namespace,
        name=name,
        repository=repository,
        issuer=issuer,
        claims=pinned,
        account=account,
        created_by=by.user,
    )
    after = {"publisher": username, "issuer": issuer, "claims": pinned}
    audit.record(by.user, "publisher:create", publisher.full_name, about=repository or namespace, after=after)
    return publisher


def _check_number(publishers: QuerySet[TrustedPublisher]) -> None:
    if publishers.count() >= MAX_PUBLISHERS:
        raise QuotaExceeded(
            f"This repository already has {MAX_PUBLISHERS} publishers, the limit.", fix="Remove one first."
        )


def _remove(publishers: QuerySet[TrustedPublisher], by: User | None, sentence: str) -> None:
    with transaction.atomic():
        publisher = publishers.select_related("account", "repository__namespace", "namespace").first()
        if publisher is None:
            raise PublisherNotFound(sentence)
        _end(publisher, by)


def _end(publisher: TrustedPublisher, by: User | None, *, reason: str = "", note: str = "") -> None:
    Token.objects.filter(user=publisher.account).delete()
    User.objects.filter(pk=publisher.account_id).update(is_active=False)
    before = {"publisher": str(publisher), "issuer": publisher.issuer, "claims": publisher.claims}
    about = publisher.repository or publisher.namespace
    audit.record(by, "publisher:remove", publisher.full_name, about=about, before=before, reason=reason, note=note)
    publisher.delete()


def _require_session(by: Caller) -> None:
    if by.token is not None:
        raise SessionRequired("Trusted publishers can only be managed in a browser session, not with a token.")


def _require_administrator(namespace: Namespace, by: Caller) -> None:
    user = policy.require_person(by, "manage trusted publishers")
    policy.refuse_locked(by, namespace)
    if namespace.pk not in _administered(by):
        raise NotAllowed(f"{user.username} does not administer {namespace.name}.", fix="Ask one of its administrators.")


def _pending(by: Caller) -> QuerySet[TrustedPublisher]:
    _require_session(by)
    policy.require_person(by, "manage trusted publishers")
    return TrustedPublisher.objects.filter(repository=None, namespace__in=_administered(by))


def _administered(by: Caller) -> list[int]:
    return [namespace for namespace, role in by.roles.items() if role == Membership.Role.ADMIN]


def _apply(organization: Organization, entry: Entry) -> Iterator[str]:
    """Trust a CI job; yield a line unless it is trusted already."""
    repository, issuer = entry.needed("repository"), entry.needed("issuer")
    with at(entry.where):
        type, claims = entry.text("type") or "model", entry.lists("claims")
        entry.end()
        if declare(organization.namespace, repository, type, issuer, claims):
            yield f"publisher of {organization}/{repository}: trusted"


FEATURE = Feature(
    named=adopt,
    given_up=remove_all,
    organization_parts=(("publishers", _apply),),
    acts=(("TrustedPublisher", "end", "End trust", disable),),
)
