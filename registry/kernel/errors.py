"""The catalogue of refusals: each has a stable code, a sentence and a fix; features have theirs in their `errors.py`.

hub/errors.py has their HTTP statuses: most follow from the class that a refusal is derived from.
"""

from typing import ClassVar


class RegistryError(Exception):
    """A refusal with a text for people.

    `code` is public API (docs/errors.md). `detail` is one sentence that names the thing and the reason;
    `fix` says what to do next; `field` is the field of the request that it concerns, where there is one;
    `facts` are extra members for the REST answer, `field` among them.
    """

    code: ClassVar[str]
    default_fix: ClassVar[str] = ""
    retry_seconds: ClassVar[int] = 0  # after which asking again may help; 0: no Retry-After

    def __init__(self, detail: str, fix: str = "", field: str = "", **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix or self.default_fix
        self.field = field
        self.facts = {"field": field, **facts} if field else facts


class Missing(RegistryError):
    """There is no such thing, or the caller may not see it."""


class Conflict(RegistryError):
    """It does not go together with what is there now."""


class Forbidden(RegistryError):
    """The caller may see it, and not do this."""


class NotReady(RegistryError):
    """It is being made, and is there when the caller asks again."""

    retry_seconds = 10


class Invalid(RegistryError):
    """A value cannot be parsed, or breaks a rule."""


class Unavailable(RegistryError):
    """Something that the answer needs does not answer now; asking again may help."""

    retry_seconds = 5


class WrongElsewhere(RegistryError):
    """Another server answered something that cannot be right."""


# --- who is asking ---------------------------------------------------------------------------------------------------
class SignInRequired(RegistryError):
    code = "sign-in-required"
    default_fix = "Sign in, or send a token as `Authorization: Bearer …`; create one at /settings/tokens."


class TokenInvalid(RegistryError):
    code = "token-invalid"
    default_fix = "Create a new token at /settings/tokens; a revoked or expired token cannot be restored."


class GateSignInRequired(SignInRequired):
    code = "gate-sign-in-required"
    default_fix = "Sign in and request access on the repository's page."


class NotAllowed(Forbidden):
    code = "not-allowed"
    default_fix = "Ask an owner of the namespace for permission, or use a token that has it."


class EmailUnverified(Forbidden):
    code = "email-unverified"
    default_fix = "Open the link in the confirmation e-mail; you can send it again at /settings/account."


class AccountNotEmpty(Conflict):
    code = "account-not-empty"
    default_fix = "Move or delete them first, or choose to delete them with the account."


class SecondFactorRequired(NotAllowed):
    """A person without a second factor, where an organisation or the hub requires one."""

    code = "second-factor-required"
    default_fix = "Add an authenticator app or a passkey at /settings/security, then try again."


class SessionRequired(Forbidden):
    code = "session-required"
    default_fix = "Do this on the website; tokens cannot do it."


class PublishersOnly(NotAllowed):
    code = "publishers-only"
    default_fix = "Push from a CI job that is a trusted publisher, or merge a pull request on the website."


class ExchangeRefused(Invalid):
    """An identity token gave no access token; the fact `error` is the word of RFC 6749 for it."""

    code = "exchange-refused"
    default_fix = "Compare the job's claims with the publishers at /NAMESPACE/NAME/settings/publishers."


# --- what is there ---------------------------------------------------------------------------------------------------
class RepositoryNotFound(RegistryError):
    code = "adapter-not-found"
    default_fix = "Check the spelling of namespace/name; sign in if the repository is private."


class RepositoryMoved(RegistryError):
    """An old name; `full_name` in the facts is the new one. Only raised for callers who may see the repository."""

    code = "adapter-moved"
    default_fix = "Use the new name from now on."


class RevisionNotFound(RegistryError):
    code = "revision-not-found"
    default_fix = "Use a branch, a tag, a commit ID, or `verified` once a version has passed."


class AliasNotFound(Missing):
    code = "alias-not-found"
    default_fix = "List the adapter's aliases, or create this one."


class FileNotFound(RegistryError):
    code = "file-not-found"
    default_fix = "List the files of the revision to see which exist."


class FilesExpired(RegistryError):
    code = "files-expired"
    default_fix = "Use `verified` or a newer version; an owner can restore the files while they are in the bin."


class NamespaceNotFound(Missing):
    code = "namespace-not-found"
    default_fix = "Check the spelling of the user's or organisation's name."


class TeamNotFound(Missing):
    code = "team-not-found"
    default_fix = "List the teams of the organisation."


class TokenNotFound(Missing):
    code = "token-not-found"
    default_fix = "List your tokens at /settings/tokens."


class ItemNotFound(Missing):
    code = "item-not-found"
    default_fix = "Reload the collection; it may have changed."


class AccessRequestNotFound(Missing):
    code = "access-request-not-found"
    default_fix = "List the requests in every state; this one may have been decided already."


class AccessGranted(Invalid):
    code = "access-granted"
    default_fix = "Nothing to do."


class InvitationNotFound(Missing):
    code = "invitation-not-found"
    default_fix = "List the open invitations; this one may have been answered or withdrawn, or may have expired."


class InvitationDeclined(Conflict):
    code = "invitation-declined"


class DiscussionNotFound(Missing):
    code = "discussion-not-found"
    default_fix = "List the discussions of the repository to find the right number."


class CommentNotFound(Missing):
    code = "comment-not-found"
    default_fix = "Reload the discussion; the comment may have been deleted."


class VerdictNotApplicable(Missing):
    code = "verdict-not-applicable"
    default_fix = "Only revisions that contain an adapter are validated."


class BaseNotFound(Missing):
    code = "base-not-found"
    default_fix = "See /bases for the known base models; you can request a missing one there."


# --- names -----------------------------------------------------------------------------------------------------------
class NameInvalid(Invalid):
    code = "name-invalid"
    default_fix = "Use 1 to 96 letters, digits, `-`, `_` or `.`; begin and end with a letter or digit; no `--` or `..`."


class NameTaken(Conflict):
    code = "name-taken"
    default_fix = "Choose another name."


class NameReserved(Forbidden):
    code = "name-reserved"
    default_fix = "Choose another name, or ask an administrator of this hub."


class NameProhibited(Forbidden):
    code = "name-prohibited"
    default_fix = "Choose another name."


class RepositoryExists(Conflict):
    code = "adapter-exists"
    default_fix = "Push to the existing repository, or choose another name."


class ValueInvalid(Invalid):
    code = "value-invalid"


# --- organisations ---------------------------------------------------------------------------------------------------
class LastAdministrator(Conflict):
    code = "last-administrator"
    default_fix = "Make another member an administrator first."


class OrganizationNotEmpty(Conflict):
    code = "organization-not-empty"


# --- pushing ---------------------------------------------------------------------------------------------------------
class PathInvalid(RegistryError):
    code = "path-invalid"
    default_fix = "Use relative paths with `/`, and without `.`, `..`, `.git`, control characters and backslashes."


class FileTooLarge(RegistryError):
    code = "file-too-large"
    default_fix = "Push a smaller file, or ask the administrator to raise DOVETAIL_MAX_FILE_BYTES."


class PushTooLarge(RegistryError):
    code = "push-too-large"
    default_fix = "Push in several commits, or ask the administrator to raise DOVETAIL_MAX_PUSH_BYTES."


class CommitInvalid(Invalid):
    code = "commit-invalid"
    default_fix = "Send one JSON object per line: a header, then file, lfsFile, copyFile, deletedFile or deletedFolder."


class ParentStale(RegistryError):
    code = "parent-stale"
    default_fix = "Fetch the newest commit and push again on top of it."


class BlobUnknown(Invalid):
    code = "blob-unknown"
    default_fix = "Upload the file's bytes to this repository first; its digest alone is not enough."


class DigestMismatch(Invalid):
    code = "digest-mismatch"
    default_fix = "Compute the file's sha256 again and upload the whole file."


class DownloadExpired(Forbidden):
    code = "download-expired"
    default_fix = "Request a new download URL."


class UploadExpired(Forbidden):
    code = "upload-expired"
    default_fix = "Request a new upload URL; each is valid for one file and one hour."


class QuotaExceeded(Forbidden):
    code = "quota-exceeded"
    default_fix = "Delete what you no longer need, or ask an administrator of this hub for more storage."


class LengthRequired(RegistryError):
    code = "length-required"
    default_fix = "Send a Content-Length header."


class RefExists(Conflict):
    code = "ref-exists"
    default_fix = "Choose another name, or delete the old one first."


class AliasUnproven(Conflict):
    """The revision has not passed; with `force` and a reason an alias may name it all the same."""

    code = "alias-unproven"
    default_fix = "Choose a version that passed, such as `verified`, or force the alias with a reason."


class AliasRefused(Conflict):
    code = "alias-refused"
    default_fix = "Choose another version."


class VersionNotHeld(Conflict):
    """An override of a version that no regression keeps from becoming `verified`."""

    code = "version-not-held"
    default_fix = "See the check eval.regression in its verdict for the comparison."


class RefProtected(Forbidden):
    code = "ref-protected"


# --- what is held back -----------------------------------------------------------------------------------------------
class RepositoryQuarantined(RegistryError):
    code = "adapter-quarantined"
    default_fix = "Write to the moderators of this hub if you think this is a mistake."


class RepositoryRemoved(RegistryError):
    code = "adapter-removed"
    default_fix = "Use another repository; removed repositories do not come back."


class RepositoryArchived(Forbidden):
    code = "adapter-archived"
    default_fix = "An owner can unarchive it in its settings."


class RevisionNotVerified(Forbidden):
    code = "revision-not-verified"
    default_fix = "Pull the revision `verified`, or wait for the verdict."


class AccessRequired(RegistryError):
    code = "access-required"
    default_fix = "Request access on the repository's page."


# --- moderation ------------------------------------------------------------------------------------------------------
class ReauthenticationRequired(NotAllowed):
    """A deed in a session that has not proven lately, or not by the second factor, who acts."""

    code = "reauthentication-required"
    default_fix = "Open /settings/security/confirm, enter your password or second factor, and try again."


class TakenDown(Conflict):
    code = "adapter-taken-down"
    default_fix = "Its files were deleted, so it cannot be released."


class PublishingPaused(NotAllowed):
    """A person whose strikes keep them from publishing for some days."""

    code = "publishing-paused"
    default_fix = "See /settings/standing for your strikes and when they end."


# --- what the operator has turned off -------------------------------------------------------------------------------
class HubReadOnly(Unavailable):
    code = "hub-read-only"
    retry_seconds = 300
    default_fix = "Try again later; reading, downloading and signing in still work."


class ViewReadOnly(RegistryError):
    code = "view-read-only"
    default_fix = "Use the hub's address without /verified to push or make changes."


class UploadsOff(Forbidden):
    code = "uploads-off"
    default_fix = "Try again later, or ask an administrator of this hub."


class NewRepositoriesOff(Forbidden):
    code = "new-repositories-off"
    default_fix = "Push to an existing repository, or ask an administrator of this hub."


class FileBlocked(Forbidden):
    """A file whose digest the moderators have blocked; `sha256` is among the facts."""

    code = "file-blocked"
    default_fix = "Remove the file from the push; write to the moderators of this hub if you think this is a mistake."


# --- validation ------------------------------------------------------------------------------------------------------
class ClaimStale(RegistryError):
    """A worker whose lease expired tried to write; another worker has the job."""

    code = "claim-stale"


SHELF = "manage.py shelf"  # the command that keeps the base cache; messages name it


class ShelfProblem(RegistryError):
    code = "shelf-problem"


class StoreUnavailable(Unavailable):
    code = "store-unavailable"
    default_fix = "Try again in a minute; if it still fails, tell an administrator of this hub."


class UpstreamReadOnly(NotAllowed):
    """A repository that is read from another hub."""

    code = "upstream-read-only"
    default_fix = "Push to your own repository, or change this one on the hub it comes from."


class TooOften(RegistryError):
    code = "rate-limited"


class SearchTooSlow(Unavailable):
    code = "search-too-slow"
    retry_seconds = 30
    default_fix = "Narrow the search: use a longer word, or add a base model, an owner or a date."


class TooManyStreams(RegistryError):
    code = "too-many-streams"
    retry_seconds = 30
    default_fix = "Close one of them, or poll with `wait` and without `Accept: text/event-stream`."


class StreamsFull(Unavailable):
    code = "streams-full"
    default_fix = "Try again after Retry-After, or poll with `wait` and without `Accept: text/event-stream`."


class DownloadsFull(RegistryError):
    code = "downloads-full"
    retry_seconds = 5
    default_fix = "Try again after Retry-After; Hugging Face clients do so automatically."


class HubBusy(Unavailable):
    code = "hub-busy"
    default_fix = "Try again after Retry-After; nothing was changed."


class IdempotencyKeyReused(RegistryError):
    code = "idempotency-key-reused"
    default_fix = "Use a new key for each request; the same key only repeats the same request."


class RequestInProgress(Conflict):
    code = "request-in-progress"
    retry_seconds = 1
    default_fix = "Wait a second and repeat the request with the same key to get the first answer."


class FileNotSearched(Unavailable):
    """A file that looks like a pickle, and that no worker has searched for code yet."""

    code = "file-not-searched"
    retry_seconds = 2
    default_fix = "Try again in a few seconds; safetensors files are served at once."


class NotSupported(RegistryError):
    code = "not-supported"
