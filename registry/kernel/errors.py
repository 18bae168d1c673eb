"""The catalogue of refusals: each has a stable code, a sentence and a fix; features have theirs in their `errors.py`.

hub/errors.py has their HTTP statuses: most follow from the class that a refusal is derived from.
"""

from typing import ClassVar


class RegistryError(Exception):
    """A refusal with a text for people.

    `code` is public API (docs/errors.md). `detail` is one sentence that names the thing and the reason;
    `fix` says what to do next; `facts` are extra members for the REST answer.
    """

    code: ClassVar[str]
    default_fix: ClassVar[str] = ""
    retry_seconds: ClassVar[int] = 0  # after which asking again may help; 0: no Retry-After

    def __init__(self, detail: str, fix: str = "", **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix or self.default_fix
        self.facts = facts


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
    """What was given cannot be read, or breaks a rule."""


class Unavailable(RegistryError):
    """Something that the answer needs does not answer now; asking again may help."""

    retry_seconds = 5


class WrongElsewhere(RegistryError):
    """Another server answered something that cannot be right."""


# --- who is asking ---------------------------------------------------------------------------------------------------
class SignInRequired(RegistryError):
    code = "sign-in-required"
    default_fix = "Sign in, or send a token as `Authorization: Bearer …`; tokens are made at /settings/tokens."


class TokenInvalid(RegistryError):
    code = "token-invalid"
    default_fix = "Make a new token at /settings/tokens; a token that was revoked or has expired never works again."


class GateSignInRequired(SignInRequired):
    code = "gate-sign-in-required"
    default_fix = "Sign in, and ask for access on the repository's page."


class NotAllowed(Forbidden):
    code = "not-allowed"
    default_fix = "Ask an owner of the namespace for the right, or use a token that has it."


class EmailUnverified(Forbidden):
    code = "email-unverified"
    default_fix = "Open the link in the letter that went to your address; send it again at /settings/account."


class AccountNotEmpty(Conflict):
    code = "account-not-empty"
    default_fix = "Move or delete them first, or choose to delete them along with the account."


class SecondFactorRequired(NotAllowed):
    """A person without a second factor, where an organisation or the hub requires one."""

    code = "second-factor-required"
    default_fix = "Add an authenticator app or a passkey at /settings/security, then do it again."


class SessionRequired(Forbidden):
    code = "session-required"
    default_fix = "Do this on the website: it is never done by token."


class PublishersOnly(NotAllowed):
    code = "publishers-only"
    default_fix = "Push from the CI job that is its trusted publisher, or merge a pull request on the website."


class ExchangeRefused(Invalid):
    """An identity token gave no access token; the fact `error` is the word of RFC 6749 for it."""

    code = "exchange-refused"
    default_fix = "Compare the job with the publishers at /NAMESPACE/NAME/settings/publishers."


# --- what is there ---------------------------------------------------------------------------------------------------
class RepositoryNotFound(RegistryError):
    code = "adapter-not-found"
    default_fix = "Check the spelling of namespace/name, and that you are signed in if it is private."


class RepositoryMoved(RegistryError):
    """An old name; `full_name` in the facts is the new one. Only raised for callers who may see the repository."""

    code = "adapter-moved"
    default_fix = "Use the new name from now on."


class RevisionNotFound(RegistryError):
    code = "revision-not-found"
    default_fix = "Use a branch, a tag, a commit id, or `verified` once a version has passed."


class AliasNotFound(Missing):
    code = "alias-not-found"
    default_fix = "List the aliases of the adapter, or set this one."


class FileNotFound(RegistryError):
    code = "file-not-found"
    default_fix = "List the files of the revision to see what is there."


class FilesExpired(RegistryError):
    code = "files-expired"
    default_fix = "Use `verified` or a newer version; an owner can take the files back while they are in the bin."


class NamespaceNotFound(Missing):
    code = "namespace-not-found"
    default_fix = "Check the spelling of the person's or organisation's name."


class TeamNotFound(Missing):
    code = "team-not-found"
    default_fix = "List the teams of the organisation."


class TokenNotFound(Missing):
    code = "token-not-found"
    default_fix = "List your tokens at /settings/tokens."


class ItemNotFound(Missing):
    code = "item-not-found"
    default_fix = "Look at the collection again: somebody may have changed it."


class AccessRequestNotFound(Missing):
    code = "access-request-not-found"
    default_fix = "List the requests in each state: it may have been decided already."


class AccessGranted(Invalid):
    code = "access-granted"
    default_fix = "Nothing is to be done."


class InvitationNotFound(Missing):
    code = "invitation-not-found"
    default_fix = "List those that are open: it may have been answered, withdrawn, or be too old."


class InvitationDeclined(Conflict):
    code = "invitation-declined"


class SignInUnfinished(Invalid):
    """A device gets no token yet; `error` among the facts is the code of RFC 8628, section 3.5."""

    code = "sign-in-unfinished"
    default_fix = "Open the address that the program shows, and approve its code."


class SignInNotFound(Missing):
    code = "sign-in-not-found"
    default_fix = "Type the code again, or start the sign-in again: a code is good for a quarter of an hour."


class DiscussionNotFound(Missing):
    code = "discussion-not-found"
    default_fix = "List the discussions of the repository to see what is there."


class CommentNotFound(Missing):
    code = "comment-not-found"
    default_fix = "Look at the discussion again."


class VerdictNotApplicable(Missing):
    code = "verdict-not-applicable"
    default_fix = "Only revisions that hold an adapter are validated."


class BaseNotFound(Missing):
    code = "base-not-found"
    default_fix = "See /bases for those that are known here; ask there for one that adapters name."


# --- names -----------------------------------------------------------------------------------------------------------
class NameInvalid(Invalid):
    code = "name-invalid"
    default_fix = "Use 1 to 96 letters, digits, `-`, `_` or `.`; begin and end with a letter or digit; no `--` or `..`."


class NameTaken(Conflict):
    code = "name-taken"
    default_fix = "Choose another name."


class NameReserved(Forbidden):
    code = "name-reserved"
    default_fix = "Choose another name, or ask the administrator of this hub."


class NameProhibited(Forbidden):
    code = "name-prohibited"
    default_fix = "Choose another name."


class RepositoryExists(Conflict):
    code = "adapter-exists"
    default_fix = "Push to the one that exists, or choose another name."


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
    default_fix = "Use relative paths with `/`, without `.`, `..`, `.git`, control characters or backslashes."


class FileTooLarge(RegistryError):
    code = "file-too-large"
    default_fix = "Push a smaller file, or ask the administrator to raise DOVETAIL_MAX_FILE_BYTES."


class PushTooLarge(RegistryError):
    code = "push-too-large"
    default_fix = "Push in several commits, or ask the administrator to raise DOVETAIL_MAX_PUSH_BYTES."


class CommitInvalid(Invalid):
    code = "commit-invalid"
    default_fix = "Send one JSON object a line: a header, then file, lfsFile, copyFile, deletedFile or deletedFolder."


class ParentStale(RegistryError):
    code = "parent-stale"
    default_fix = "Fetch the newest commit and push again on top of it."


class BlobUnknown(Invalid):
    code = "blob-unknown"
    default_fix = "Upload the file's bytes to this repository first; knowing a digest gives no right to the bytes."


class DigestMismatch(Invalid):
    code = "digest-mismatch"
    default_fix = "Compute the sha256 of the file again and upload it whole."


class DownloadExpired(Forbidden):
    code = "download-expired"
    default_fix = "Ask for a new download address."


class UploadExpired(Forbidden):
    code = "upload-expired"
    default_fix = "Ask for a new upload address; each is good for one file and one hour."


class QuotaExceeded(Forbidden):
    code = "quota-exceeded"
    default_fix = "Delete what is not needed any more, or ask the administrator for more room."


class LengthRequired(RegistryError):
    code = "length-required"
    default_fix = "Send a Content-Length header."


class RefExists(Conflict):
    code = "ref-exists"
    default_fix = "Choose another name, or delete the old one first."


class AliasUnproven(Conflict):
    """The revision has not passed; with `force` and a reason an alias may name it all the same."""

    code = "alias-unproven"
    default_fix = "Choose a version that passed, such as `verified`, or force it with a reason."


class AliasRefused(Conflict):
    code = "alias-refused"
    default_fix = "Set it to another version."


class VersionNotHeld(Conflict):
    """An override of a version that no regression keeps from becoming `verified`."""

    code = "version-not-held"
    default_fix = "Look at its verdict: the check eval.regression says how it compares."


class RefProtected(Forbidden):
    code = "ref-protected"


class XorbInvalid(Invalid):
    code = "xorb-invalid"
    default_fix = "Upload again with a current hf_xet; if it stays, set HF_HUB_DISABLE_XET=1 and report it."


class XorbUnknown(Invalid):
    code = "xorb-unknown"
    default_fix = "Push again: the client then sends everything, because it is given another address."


class ShardInvalid(Invalid):
    code = "shard-invalid"
    default_fix = "Upload again with a current hf_xet; if it stays, set HF_HUB_DISABLE_XET=1 and report it."


# --- what is held back -----------------------------------------------------------------------------------------------
class RepositoryQuarantined(RegistryError):
    code = "adapter-quarantined"
    default_fix = "Write to the moderators of this hub if you think this is a mistake."


class RepositoryRemoved(RegistryError):
    code = "adapter-removed"
    default_fix = "Use another one: what moderators removed does not return."


class RepositoryArchived(Forbidden):
    code = "adapter-archived"
    default_fix = "An owner of the namespace can unarchive it in its settings."


class RevisionNotVerified(Forbidden):
    code = "revision-not-verified"
    default_fix = "Pull the revision `verified`, or wait for the verdict."


class AccessRequired(RegistryError):
    code = "access-required"
    default_fix = "Ask for access on the repository's page."


# --- moderation ------------------------------------------------------------------------------------------------------
class ReauthenticationRequired(NotAllowed):
    """A deed in a session that has not proven lately, or not by the second factor, who acts."""

    code = "reauthentication-required"
    default_fix = "Open /settings/security/confirm, enter your password or second factor, and do it again."


class TakenDown(Conflict):
    code = "adapter-taken-down"
    default_fix = "Its files were deleted, so nothing can release it."


class PublishingPaused(NotAllowed):
    """A person whose strikes keep them from publishing for some days."""

    code = "publishing-paused"
    default_fix = "Your strikes and when they end are listed at /settings/standing."


# --- what the operator has turned off -------------------------------------------------------------------------------
class HubReadOnly(Unavailable):
    code = "hub-read-only"
    retry_seconds = 300
    default_fix = "Try again later; reading, downloading and signing in work."


class ViewReadOnly(RegistryError):
    code = "view-read-only"
    default_fix = "Use the address of the hub without /verified to push and to change things."


class UploadsOff(Forbidden):
    code = "uploads-off"
    default_fix = "Try again later, or ask the administrator of this hub."


class NewRepositoriesOff(Forbidden):
    code = "new-repositories-off"
    default_fix = "Push to a repository that exists, or ask the administrator of this hub."


class FileBlocked(Forbidden):
    """A file whose digest the moderators have blocked; `sha256` is among the facts."""

    code = "file-blocked"
    default_fix = "Leave the file out; write to the moderators of this hub if you think this is a mistake."


# --- validation ------------------------------------------------------------------------------------------------------
class ClaimStale(RegistryError):
    """A worker whose lease expired tried to write; another worker has the job."""

    code = "claim-stale"


SHELF = "manage.py shelf"  # the command that keeps the base cache; messages name it


class ShelfProblem(RegistryError):
    code = "shelf-problem"


class StoreUnavailable(Unavailable):
    code = "store-unavailable"
    default_fix = "Try again in a minute; if it stays, tell the administrator of this hub."


class UpstreamReadOnly(NotAllowed):
    """A repository that is read from another hub."""

    code = "upstream-read-only"
    default_fix = "Push to a repository of your own, or change it at the hub where it is."


class TooOften(RegistryError):
    code = "rate-limited"


class SearchTooSlow(Unavailable):
    code = "search-too-slow"
    retry_seconds = 30
    default_fix = "Ask for less at once: a longer word, a base, an owner or a date in place of a part of a word."


class TooManyStreams(RegistryError):
    code = "too-many-streams"
    retry_seconds = 30
    default_fix = "End one of them, or ask without `Accept: text/event-stream`, with `wait`."


class StreamsFull(Unavailable):
    code = "streams-full"
    default_fix = "Try again when Retry-After says, or ask without `Accept: text/event-stream`, with `wait`."


class DownloadsFull(RegistryError):
    code = "downloads-full"
    retry_seconds = 5
    default_fix = "Try again when Retry-After says; clients of the Hugging Face Hub do that by themselves."


class HubBusy(Unavailable):
    code = "hub-busy"
    default_fix = "Try again when Retry-After says; nothing has changed."


class IdempotencyKeyReused(RegistryError):
    code = "idempotency-key-reused"
    default_fix = "Send a new key with each new request; the same key only repeats the same request."


class RequestInProgress(Conflict):
    code = "request-in-progress"
    retry_seconds = 1
    default_fix = "Wait a second, and send the same request with the same key again: it has the answer of the first."


class FileNotSearched(Unavailable):
    """A file that looks like a pickle, and that no worker has searched for code yet."""

    code = "file-not-searched"
    retry_seconds = 2
    default_fix = "Ask again in some seconds. A safetensors file never waits."


class NotSupported(RegistryError):
    code = "not-supported"
