"""The nouns of the registry; what may be done with them is in the module of the same name one level up."""

from registry.models.alerts import Alert
from registry.models.blobs import Blob, Derived, Landing, Possession, Upload, XetFile, Xorb
from registry.models.collections import Collection, CollectionItem
from registry.models.devices import DeviceLogin
from registry.models.discussions import Discussion, DiscussionEvent
from registry.models.events import Event
from registry.models.gates import AccessRequest
from registry.models.invitations import Invitation
from registry.models.moderation import AuditEvent, Ruling
from registry.models.people import Membership, Namespace, Organization, Token, User
from registry.models.renames import FormerNamespace, Rename
from registry.models.repositories import Ref, Repository, RetiredName, Revision, RevisionFile
from registry.models.site import SiteSetting
from registry.models.social import Follow, Like
from registry.models.verdicts import Attempt, Base, BaseAlias, BaseManifest, Comparison, Verdict, WorkerHeartbeat
from registry.models.webhooks import Delivery, Watch, Webhook

__all__ = [
    "AccessRequest",
    "Alert",
    "Attempt",
    "AuditEvent",
    "Base",
    "BaseAlias",
    "BaseManifest",
    "Blob",
    "Collection",
    "CollectionItem",
    "Comparison",
    "Delivery",
    "Derived",
    "DeviceLogin",
    "Discussion",
    "DiscussionEvent",
    "Event",
    "Follow",
    "FormerNamespace",
    "Invitation",
    "Landing",
    "Like",
    "Membership",
    "Namespace",
    "Organization",
    "Possession",
    "Ref",
    "Rename",
    "Repository",
    "RetiredName",
    "Revision",
    "RevisionFile",
    "Ruling",
    "SiteSetting",
    "Token",
    "Upload",
    "User",
    "Verdict",
    "Watch",
    "Webhook",
    "WorkerHeartbeat",
    "XetFile",
    "Xorb",
]
