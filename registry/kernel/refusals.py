"""The wording of refusals about repositories; policy.py decides when they are raised."""

from django.conf import settings
from django.db.models import QuerySet

from registry.kernel import errors, site_settings
from registry.kernel.callers import Permission, has_second_factor
from registry.models import Base, ModerationDecision, Repository, Revision, Token, User

_DEEDS = {
    Permission.DISCUSS: "take part in the discussions of",
    Permission.PUSH: "push to",
    Permission.CONFIGURE: "change the settings of",
    Permission.INSPECT: "list the large files of",
    Permission.ARCHIVE: "administer",
}


def repository_not_found(full_name: str) -> errors.RepositoryNotFound:
    """Return the one refusal for a repository that does not exist, and for one that the caller may not see."""
    return errors.RepositoryNotFound(f"There is no repository {full_name!r}, or you may not see it.")


def read_elsewhere(full_name: str, origin: str) -> errors.UpstreamReadOnly:
    """Return the refusal to change what is read from another hub."""
    return errors.UpstreamReadOnly(f"{full_name} is mirrored from {origin} and cannot be changed here.")


def hidden(repository: Repository, asked: str = "") -> errors.RepositoryNotFound | errors.RepositoryRemoved:
    """Return the refusal for a repository that the caller may not see, by the id that they asked for.

    It is that of one that does not exist, unless the hub tells strangers what moderators removed.
    """
    full_name = asked or repository.full_name
    if repository.is_quarantined and not repository.private and site_settings.get_setting("tombstones") == "on":
        decision = repository.decisions.filter(revision__isnull=True).order_by("-id").select_related("case").first()
        if decision and decision.action == ModerationDecision.Action.TAKEDOWN and not repository.is_binned:
            return _removed(full_name, decision)
    return repository_not_found(full_name)


def _removed(full_name: str, decision: ModerationDecision) -> errors.RepositoryRemoved:
    """Return the tombstone: who, when and why in a word. The moderators' sentence is for its owners alone."""
    category = decision.case.get_reason_display().partition(":")[0] if decision.case else ""
    why = f": {category}" if category else ""
    return errors.RepositoryRemoved(
        f"{full_name} was removed by moderators on {decision.at:%-d %B %Y}{why}.",
        removed_at=f"{decision.at:%Y-%m-%d}",
        category=decision.case.reason if decision.case else "",
    )


def quarantined(repository: Repository) -> errors.RepositoryQuarantined:
    """Return the refusal for those who may write there, with the moderators' reason."""
    return _held_back(repository, repository.full_name, repository.decisions.filter(revision__isnull=True))


def quarantined_revision(revision: Revision) -> errors.RepositoryQuarantined:
    """Return the refusal for one quarantined revision; the other revisions of the repository are served."""
    what = f"Revision {revision.oid} of {revision.repository.full_name}"
    return _held_back(revision.repository, what, revision.decisions.all())


def files_expired(revision: Revision) -> errors.FilesExpired:
    """Return the refusal of files that a rule of retention removed."""
    day = f" on {revision.expired_at:%-d %B %Y}" if revision.expired_at else ""
    return errors.FilesExpired(
        f"A retention rule removed the files of version {revision.oid}{day}; the commit itself is kept."
    )


def _held_back(
    repository: Repository, what: str, decisions: QuerySet[ModerationDecision]
) -> errors.RepositoryQuarantined:
    decision = decisions.exclude(action="release").order_by("-id").first()
    reason = decision.reason if decision else "no reason was given"
    fix = ""
    # Without a person the hub itself decided, because of a file that the owner may remove.
    if decision and decision.revision_id and decision.by_id is None:
        fix = (
            f"Delete or replace the file in a new commit (hf repos delete-files {repository.full_name} FILE): "
            f"revisions without it are served. {errors.RepositoryQuarantined.default_fix}"
        )
    return errors.RepositoryQuarantined(f"{what} is quarantined: {reason}", fix=fix, reason=reason)


def unverified(user: User) -> errors.EmailUnverified | None:
    """Return the refusal for a person who has not proven an address; None without a mail server: nobody can then."""
    if user.email_verified or not settings.MAIL_FROM:
        return None
    what = "has no e-mail address" if not user.email else "has not confirmed the e-mail address"
    return errors.EmailUnverified(f"{user.username} {what} yet, and cannot publish until then.")


def lacks_factor(user: User) -> errors.SecondFactorRequired | None:
    """Return the refusal for a person without a second factor, where the hub requires one of all who publish."""
    if site_settings.get_setting("second_factor") == "optional" or user.is_machine or has_second_factor(user):
        return None
    return errors.SecondFactorRequired(f"This hub requires a second factor of all who publish: {user} has none.")


def publishing_paused(user: User) -> errors.PublishingPaused:
    """Return the refusal for a person whose strikes keep them from publishing for some days."""
    until = f"{user.paused_until:%-d %B %Y, %H:%M} UTC" if user.paused_until else "a moderator ends it"
    return errors.PublishingPaused(f"{user.username} cannot publish until {until} because of strikes.")


def second_factor(organization: str) -> errors.SecondFactorRequired:
    """Return the refusal for a member without a second factor, where the organisation requires one."""
    return errors.SecondFactorRequired(
        f"{organization} requires its members to use a second factor, and you have none."
    )


def archived(repository: Repository) -> errors.RepositoryArchived:
    """Return the refusal of every change to an archived repository."""
    return errors.RepositoryArchived(f"{repository.full_name} is archived: it can be read but not changed.")


def gated(user: User | None, repository: Repository) -> errors.RegistryError:
    """Return the refusal for the files of a gated repository, in the words that the Hub's clients know."""
    kind, page = repository.type, repository.get_absolute_url()
    if user is None:
        return errors.GateSignInRequired(
            f"Access to {kind} {repository.full_name} is restricted. You must have access to it and be authenticated.",
            fix=f"Sign in and request access at {page}.",
        )
    return errors.AccessRequired(
        f"Access to {kind} {repository.full_name} is restricted and you are not in the authorized list.",
        fix=f"Request access at {page}; a fine-grained token must also name this repository.",
    )


def base_read_only(base: Base) -> errors.NotAllowed:
    """Return the refusal of every change to a base model, and of what repositories have and bases do not."""
    return errors.NotAllowed(
        f"{base.id} is a base model of this hub: it is read-only.",
        fix=f"Push to your own repository; an operator manages base models with `{errors.SHELF}`.",
    )


def gated_base(user: User | None, base: Base) -> errors.RegistryError:
    """Return the refusal for the files of a base that members alone may have."""
    sentence = f"Access to model {base.id} is restricted"
    if user is None:
        return errors.GateSignInRequired(
            f"{sentence}. You must have access to it and be authenticated.",
            fix="Send a token of an account on this hub.",
        )
    return errors.AccessRequired(
        f"{sentence}, and this token is limited to other repositories.", fix="Use a token that names it."
    )


def lacks_role(user: User | None, permission: Permission, repository: Repository) -> errors.RegistryError:
    """Return the refusal for a person who may not do this with the repository, or for nobody."""
    deed = f"{_DEEDS[permission]} {repository.full_name}"
    if user is None:
        return errors.SignInRequired(f"You must sign in to {deed}.")
    return errors.NotAllowed(f"{user.username} may not {deed}.")


def lacks_grant(token: Token | None, permission: Permission, repository: Repository) -> errors.NotAllowed:
    """Return the refusal for a token of a person who may do this, when the token itself may not."""
    deed = f"{_DEEDS[permission]} {repository.full_name}"
    return errors.NotAllowed(f"The token {token.name if token else ''!r} may not {deed}: it lacks the write role.")


def publishers_only(token: Token, repository: Repository) -> errors.PublishersOnly:
    """Return the refusal for a token of a person or robot, where trusted publishers alone push."""
    return errors.PublishersOnly(
        f"{repository.full_name} only accepts pushes from its trusted publishers, not with the token {token.name!r}."
    )
