"""The tables of the registry, one file a noun; the rooms of the registry hold the verbs."""

from registry.models import lookups as lookups
from registry.models.alerts import Alert
from registry.models.aliases import Alias, AliasMove
from registry.models.appeals import Appeal, AppealMessage
from registry.models.audit import AuditCheckpoint, AuditEvent, AuditSeal
from registry.models.blobs import (
    Blob,
    ChunkingJob,
    DerivedArtifact,
    KnownXorb,
    TensorDigest,
    Upload,
    UploadedBlob,
    WeightComparison,
    XetFile,
    Xorb,
    XorbSpan,
)
from registry.models.blocked_files import BlockedFile
from registry.models.cards import RenderedCard
from registry.models.cases import AbuseReport, Case, CaseNote, QueueView
from registry.models.catalogue_counts import CatalogueCount
from registry.models.clock import ClockLease
from registry.models.collections import Collection, CollectionItem
from registry.models.derivations import DerivedSource, DerivedVersion
from registry.models.devices import DeviceLogin
from registry.models.directory_tokens import DirectoryToken
from registry.models.discussions import Discussion, DiscussionEvent
from registry.models.downloads import CountedDownloads, DailyDownloads, HourlyDownloads
from registry.models.events import Event
from registry.models.former_names import FormerName, FormerNamespace
from registry.models.gates import AccessRequest
from registry.models.idempotency import IdempotentRequest
from registry.models.images import Image, ImageDocument, ImageLayer
from registry.models.invitations import Invitation, JoinLink
from registry.models.moderation import ModerationDecision
from registry.models.names import NameObservation, NameRule
from registry.models.notices import BaseFollow, Channel, RepositoryWatch, SignInPlace, Topic, TopicChoice
from registry.models.outbox import OutboxEvent
from registry.models.passports import BaseNorms, FingerprintBand, NormPopulation, WeightPassport
from registry.models.people import Avatar, Membership, Namespace, Organization, Token, User
from registry.models.plane import PlaneName, PlaneRequest
from registry.models.publishers import PublishingRun, TrustedPublisher
from registry.models.pushes import OpenPush
from registry.models.quotas import NamespaceQuota
from registry.models.regressions import Regression
from registry.models.releases import Release
from registry.models.repositories import Ref, Repository, Revision, RevisionFile
from registry.models.retention import ExpiredFile, RetentionRule
from registry.models.saved_searches import SavedSearch
from registry.models.scans import PickleScan, SecretSearch
from registry.models.schema_upgrades import SchemaUpgrade
from registry.models.site_settings import SiteSetting
from registry.models.social import Follow, Like
from registry.models.strikes import Strike
from registry.models.teams import Team, TeamGrant, TeamMember
from registry.models.transparency import MonthOfModeration
from registry.models.tryouts import Tryout
from registry.models.upstream import UpstreamDocument, UpstreamFile, UpstreamRepository
from registry.models.verdicts import (
    Attempt,
    Base,
    BaseAlias,
    BaseFile,
    BaseManifest,
    Comparison,
    Verdict,
    WorkerHeartbeat,
)
from registry.models.webhooks import Delivery, Watch, Webhook

__all__ = [
    "AbuseReport",
    "AccessRequest",
    "Alert",
    "Alias",
    "AliasMove",
    "Appeal",
    "AppealMessage",
    "Attempt",
    "AuditCheckpoint",
    "AuditEvent",
    "AuditSeal",
    "Avatar",
    "Base",
    "BaseAlias",
    "BaseFile",
    "BaseFollow",
    "BaseManifest",
    "BaseNorms",
    "Blob",
    "BlockedFile",
    "Case",
    "CaseNote",
    "CatalogueCount",
    "Channel",
    "ChunkingJob",
    "ClockLease",
    "Collection",
    "CollectionItem",
    "Comparison",
    "CountedDownloads",
    "DailyDownloads",
    "Delivery",
    "DerivedArtifact",
    "DerivedSource",
    "DerivedVersion",
    "DeviceLogin",
    "DirectoryToken",
    "Discussion",
    "DiscussionEvent",
    "Event",
    "ExpiredFile",
    "FingerprintBand",
    "Follow",
    "FormerName",
    "FormerNamespace",
    "HourlyDownloads",
    "IdempotentRequest",
    "Image",
    "ImageDocument",
    "ImageLayer",
    "Invitation",
    "JoinLink",
    "KnownXorb",
    "Like",
    "Membership",
    "ModerationDecision",
    "MonthOfModeration",
    "NameObservation",
    "NameRule",
    "Namespace",
    "NamespaceQuota",
    "NormPopulation",
    "OpenPush",
    "Organization",
    "OutboxEvent",
    "PickleScan",
    "PlaneName",
    "PlaneRequest",
    "PublishingRun",
    "QueueView",
    "Ref",
    "Regression",
    "Release",
    "RenderedCard",
    "Repository",
    "RepositoryWatch",
    "RetentionRule",
    "Revision",
    "RevisionFile",
    "SavedSearch",
    "SchemaUpgrade",
    "SecretSearch",
    "SignInPlace",
    "SiteSetting",
    "Strike",
    "Team",
    "TeamGrant",
    "TeamMember",
    "TensorDigest",
    "Token",
    "Topic",
    "TopicChoice",
    "TrustedPublisher",
    "Tryout",
    "Upload",
    "UploadedBlob",
    "UpstreamDocument",
    "UpstreamFile",
    "UpstreamRepository",
    "User",
    "Verdict",
    "Watch",
    "Webhook",
    "WeightComparison",
    "WeightPassport",
    "WorkerHeartbeat",
    "XetFile",
    "Xorb",
    "XorbSpan",
]
