"""One table: the HTTP status of each refusal, and the codes and sentences that the Hub's clients compare."""

import logging
import re
from dataclasses import dataclass
from typing import TypeVar

from django.db import OperationalError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import get_script_prefix

from hub.origin import origin
from registry.kernel import errors

log = logging.getLogger(__name__)

Response = TypeVar("Response", bound=HttpResponseBase)


@dataclass(frozen=True, slots=True)
class HttpForm:
    """The HTTP form of a refusal: its status, and the Hub's own code and message where clients compare them.

    `hub_message` is a sentence that huggingface_hub compares literally (utils/_http.py, hf_raise_for_status).
    """

    status: int
    hub_code: str = ""
    hub_message: str = ""
    retry_seconds: int = 0  # when asking again may help; 0: no Retry-After

    def say_when(self, response: Response) -> Response:
        """Return the response with Retry-After, where asking again may help."""
        if self.retry_seconds:
            response["Retry-After"] = str(self.retry_seconds)
        return response


TABLE: dict[type[errors.RegistryError], HttpForm] = {
    errors.SignInRequired: HttpForm(401),
    errors.TokenInvalid: HttpForm(401, hub_message="Invalid credentials in Authorization header"),
    errors.GateSignInRequired: HttpForm(401, "GatedRepo"),
    errors.NotAllowed: HttpForm(403),
    errors.EmailUnverified: HttpForm(403),
    errors.SecondFactorRequired: HttpForm(403),
    errors.AccountNotEmpty: HttpForm(409),
    errors.SessionRequired: HttpForm(403),
    errors.PublishersOnly: HttpForm(403),
    errors.ExchangeRefused: HttpForm(400),
    errors.RepositoryNotFound: HttpForm(404, "RepoNotFound"),
    errors.RepositoryMoved: HttpForm(307),
    errors.RevisionNotFound: HttpForm(404, "RevisionNotFound"),
    errors.AliasNotFound: HttpForm(404),
    errors.ReleaseNotFound: HttpForm(404),
    errors.TryoutNotFound: HttpForm(404),
    errors.FileNotFound: HttpForm(404, "EntryNotFound"),
    errors.FilesExpired: HttpForm(410),
    errors.NamespaceNotFound: HttpForm(404),
    errors.TokenNotFound: HttpForm(404),
    errors.PublisherNotFound: HttpForm(404),
    errors.RobotNotFound: HttpForm(404),
    errors.TeamNotFound: HttpForm(404),
    errors.CollectionNotFound: HttpForm(404),
    errors.CollectionExists: HttpForm(409),
    errors.ItemNotFound: HttpForm(404),
    errors.ItemExists: HttpForm(409),
    errors.AccessRequestNotFound: HttpForm(404),
    errors.AccessGranted: HttpForm(400),
    errors.InvitationNotFound: HttpForm(404),
    errors.InvitationDeclined: HttpForm(409),
    errors.WebhookNotFound: HttpForm(404),
    errors.SignInNotFound: HttpForm(404),
    errors.SignInUnfinished: HttpForm(400),
    errors.DiscussionNotFound: HttpForm(404),
    errors.CommentNotFound: HttpForm(404),
    errors.VerdictNotApplicable: HttpForm(404),
    errors.BaseNotFound: HttpForm(404),
    errors.NameInvalid: HttpForm(400),
    errors.NameTaken: HttpForm(409),
    errors.RepositoryExists: HttpForm(409),
    errors.ValueInvalid: HttpForm(400),
    errors.LastAdministrator: HttpForm(409),
    errors.OrganizationNotEmpty: HttpForm(409),
    errors.PathInvalid: HttpForm(422),
    errors.FileTooLarge: HttpForm(413),
    errors.PushTooLarge: HttpForm(413),
    errors.CommitInvalid: HttpForm(400),
    errors.ParentStale: HttpForm(412),
    errors.BlobUnknown: HttpForm(400),
    errors.DigestMismatch: HttpForm(400),
    errors.DownloadExpired: HttpForm(403),
    errors.UploadExpired: HttpForm(403),
    errors.QuotaExceeded: HttpForm(403),
    errors.LengthRequired: HttpForm(411),
    errors.RefExists: HttpForm(409),
    errors.AliasUnproven: HttpForm(409),
    errors.VersionNotHeld: HttpForm(409),
    errors.AliasRefused: HttpForm(409),
    errors.TryoutRefused: HttpForm(409),
    errors.ReleaseRefused: HttpForm(409),
    errors.RefProtected: HttpForm(403),
    errors.DiscussionClosed: HttpForm(409),
    errors.MergeConflict: HttpForm(409),
    errors.XorbInvalid: HttpForm(400),
    errors.XorbUnknown: HttpForm(400),
    errors.ShardInvalid: HttpForm(400),
    errors.RepositoryArchived: HttpForm(403),
    errors.RepositoryRemoved: HttpForm(410),
    errors.RepositoryQuarantined: HttpForm(403, hub_message="Access to this resource is disabled."),
    errors.RevisionNotVerified: HttpForm(403),
    errors.HubReadOnly: HttpForm(503, retry_seconds=300),
    errors.ViewReadOnly: HttpForm(405),
    errors.UploadsOff: HttpForm(403),
    errors.NewRepositoriesOff: HttpForm(403),
    errors.FileBlocked: HttpForm(403),
    errors.NameReserved: HttpForm(403),
    errors.NameProhibited: HttpForm(403),
    errors.AccessRequired: HttpForm(403, "GatedRepo"),
    errors.ReauthenticationRequired: HttpForm(403),
    errors.CaseNotFound: HttpForm(404),
    errors.CaseClosed: HttpForm(409),
    errors.AppealNotFound: HttpForm(404),
    errors.AppealClosed: HttpForm(409),
    errors.TakenDown: HttpForm(409),
    errors.PublishingPaused: HttpForm(403),
    errors.StoreUnavailable: HttpForm(503, retry_seconds=5),
    errors.FileNotSearched: HttpForm(503, retry_seconds=2),
    errors.UpstreamUnavailable: HttpForm(503, retry_seconds=30),
    errors.UpstreamArriving: HttpForm(503, retry_seconds=5),
    errors.UpstreamWrong: HttpForm(502),
    errors.UpstreamRefused: HttpForm(403),
    errors.UpstreamGated: HttpForm(403, "GatedRepo"),
    errors.UpstreamReadOnly: HttpForm(403),
    errors.TooOften: HttpForm(429),
    errors.SearchTooSlow: HttpForm(503, retry_seconds=30),
    errors.TooManyStreams: HttpForm(429, retry_seconds=30),
    errors.StreamsFull: HttpForm(503, retry_seconds=5),
    errors.DownloadsFull: HttpForm(429, retry_seconds=5),  # huggingface_hub downloads again after 429, not after 503
    errors.HubBusy: HttpForm(503, retry_seconds=5),
    errors.IdempotencyKeyReused: HttpForm(422),
    errors.RequestInProgress: HttpForm(409, retry_seconds=1),
    errors.ImageNotReady: HttpForm(429, retry_seconds=10),
    errors.NotSupported: HttpForm(501),
}


def http_form(error: errors.RegistryError) -> HttpForm:
    """Return the HTTP form of a refusal; tests/test_docs.py finds a missing row."""
    return TABLE[type(error)]


def in_full(sentence: str, request: HttpRequest) -> str:
    """Return a sentence with each page path in it made absolute, since /settings leads nowhere in a terminal."""
    prefix = re.escape(get_script_prefix().rstrip("/"))
    return re.sub(rf"\b(at|See|see) (?:{prefix})?(?=/[a-z])", rf"\1 {origin(request)}", sentence)


def of_database(problem: OperationalError) -> errors.StoreUnavailable:
    """Return the refusal for a database that is full, locked for too long, or down; its own message is only logged."""
    log.error("The database refused a query", exc_info=problem)
    return errors.StoreUnavailable("The database of this hub takes no requests now, or has no room.")
