"""One table: which HTTP status each refusal has, and the codes and sentences that the Hub's clients look for."""

import logging
import re
from dataclasses import dataclass

from django.db import OperationalError
from django.http import HttpRequest
from django.urls import get_script_prefix

from hub.origin import origin
from registry.kernel import errors

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Face:
    """How a refusal looks from outside.

    `hub_message` is a sentence that huggingface_hub compares literally (utils/_http.py, hf_raise_for_status).
    """

    status: int
    hub_code: str = ""
    hub_message: str = ""


TABLE: dict[type[errors.RegistryError], Face] = {
    errors.SignInRequired: Face(401),
    errors.TokenInvalid: Face(401, hub_message="Invalid credentials in Authorization header"),
    errors.GateSignInRequired: Face(401, "GatedRepo"),
    errors.NotAllowed: Face(403),
    errors.SessionRequired: Face(403),
    errors.RepositoryNotFound: Face(404, "RepoNotFound"),
    errors.RepositoryMoved: Face(307),
    errors.RevisionNotFound: Face(404, "RevisionNotFound"),
    errors.FileNotFound: Face(404, "EntryNotFound"),
    errors.NamespaceNotFound: Face(404),
    errors.TokenNotFound: Face(404),
    errors.CollectionNotFound: Face(404),
    errors.CollectionExists: Face(409),
    errors.ItemNotFound: Face(404),
    errors.ItemExists: Face(409),
    errors.AccessRequestNotFound: Face(404),
    errors.AccessGranted: Face(400),
    errors.InvitationNotFound: Face(404),
    errors.InvitationDeclined: Face(409),
    errors.WebhookNotFound: Face(404),
    errors.SignInNotFound: Face(404),
    errors.SignInUnfinished: Face(400),
    errors.DiscussionNotFound: Face(404),
    errors.CommentNotFound: Face(404),
    errors.VerdictNotApplicable: Face(404),
    errors.BaseNotFound: Face(404),
    errors.NameInvalid: Face(400),
    errors.NameTaken: Face(409),
    errors.RepositoryExists: Face(409),
    errors.ValueInvalid: Face(400),
    errors.LastAdministrator: Face(409),
    errors.OrganizationNotEmpty: Face(409),
    errors.PathInvalid: Face(422),
    errors.FileTooLarge: Face(413),
    errors.PushTooLarge: Face(413),
    errors.CommitInvalid: Face(400),
    errors.ParentStale: Face(412),
    errors.BlobUnknown: Face(400),
    errors.DigestMismatch: Face(400),
    errors.DownloadExpired: Face(403),
    errors.UploadExpired: Face(403),
    errors.QuotaExceeded: Face(403),
    errors.LengthRequired: Face(411),
    errors.RefExists: Face(409),
    errors.RefProtected: Face(403),
    errors.DiscussionClosed: Face(409),
    errors.MergeConflict: Face(409),
    errors.XorbInvalid: Face(400),
    errors.XorbUnknown: Face(400),
    errors.ShardInvalid: Face(400),
    errors.RepositoryQuarantined: Face(403, hub_message="Access to this resource is disabled."),
    errors.RevisionNotVerified: Face(403),
    errors.AccessRequired: Face(403, "GatedRepo"),
    errors.StoreUnavailable: Face(503),
    errors.TooOften: Face(429),
    errors.NotSupported: Face(501),
}


def face(error: errors.RegistryError) -> Face:
    """Return how this refusal looks from outside; a missing row is a defect that tests/test_docs.py finds."""
    return TABLE[type(error)]


def status_with(error: errors.RegistryError | None) -> int:
    """Return the status of a page that shows a form again: that of what kept it from being done, if anything did."""
    return face(error).status if error else 200


def in_full(sentence: str, request: HttpRequest) -> str:
    """Return a sentence with the whole address of each page that it names: in a terminal /settings leads nowhere."""
    prefix = re.escape(get_script_prefix().rstrip("/"))
    return re.sub(rf"\b(at|See|see) (?:{prefix})?(?=/[a-z])", rf"\1 {origin(request)}", sentence)


def of_database(problem: OperationalError) -> errors.StoreUnavailable:
    """Return the refusal for a database that is full, busy for too long, or away; what it says is for the log alone."""
    log.error("The database does not do what was asked", exc_info=problem)
    return errors.StoreUnavailable("The database of this hub takes no requests now, or has no room.")
