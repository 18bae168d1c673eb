"""The nouns of the registry; what may be done with them is in the module of the same name one level up."""

from registry.models.adapters import Adapter, Ref, RetiredName, Revision, RevisionFile
from registry.models.blobs import Blob, Possession, Upload, Xorb
from registry.models.moderation import AuditEvent, Ruling
from registry.models.people import Membership, Namespace, Organization, Token, User
from registry.models.site import SiteSetting
from registry.models.verdicts import Attempt, Base, Verdict, WorkerHeartbeat

__all__ = [
    "Adapter",
    "Attempt",
    "AuditEvent",
    "Base",
    "Blob",
    "Membership",
    "Namespace",
    "Organization",
    "Possession",
    "Ref",
    "RetiredName",
    "Revision",
    "RevisionFile",
    "Ruling",
    "SiteSetting",
    "Token",
    "Upload",
    "User",
    "Verdict",
    "WorkerHeartbeat",
    "Xorb",
]
