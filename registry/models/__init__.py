"""The tables of the registry, one file a noun; the rooms of the registry hold the verbs."""

from registry.models import lookups as lookups
from registry.models.moderation.appeals import Appeal, AppealMessage
from registry.models.moderation.audit import AuditCheckpoint, AuditEvent, AuditSeal
from registry.models.moderation.blocked_files import BlockedFile
from registry.models.moderation.cases import AbuseReport, Case, CaseNote, QueueView
from registry.models.moderation.moderation import ModerationDecision
from registry.models.moderation.strikes import Strike
from registry.models.moderation.transparency import MonthOfModeration
from registry.models.people.devices import DeviceLogin
from registry.models.people.directory_tokens import DirectoryToken
from registry.models.people.former_names import FormerName, FormerNamespace
from registry.models.people.invitations import Invitation, JoinLink
from registry.models.people.names import NameObservation, NameRule
from registry.models.people.people import Avatar, Membership, Namespace, Organization, Token, User
from registry.models.people.publishers import PublishingRun, TrustedPublisher
from registry.models.people.quotas import NamespaceQuota
from registry.models.people.teams import Team, TeamGrant, TeamMember
from registry.models.proof.passports import BaseNorms, FingerprintBand, NormPopulation, WeightPassport
from registry.models.proof.regressions import Regression
from registry.models.proof.scans import PickleScan, SecretSearch
from registry.models.proof.tryouts import Tryout
from registry.models.proof.verdicts import (
    Attempt,
    Base,
    BaseAlias,
    BaseFile,
    BaseManifest,
    Comparison,
    Verdict,
    WorkerHeartbeat,
)
from registry.models.repos.aliases import Alias, AliasMove
from registry.models.repos.blobs import (
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
from registry.models.repos.cards import RenderedCard
from registry.models.repos.catalogue_counts import CatalogueCount
from registry.models.repos.derivations import DerivedSource, DerivedVersion
from registry.models.repos.discussions import Discussion, DiscussionEvent
from registry.models.repos.downloads import CountedDownloads, DailyDownloads, HourlyDownloads
from registry.models.repos.gates import AccessRequest
from registry.models.repos.pushes import OpenPush
from registry.models.repos.releases import Release
from registry.models.repos.repositories import Ref, Repository, Revision, RevisionFile
from registry.models.repos.retention import ExpiredFile, RetentionRule
from registry.models.site.clock import ClockLease
from registry.models.site.idempotency import IdempotentRequest
from registry.models.site.plane import PlaneName, PlaneRequest
from registry.models.site.schema_upgrades import SchemaUpgrade
from registry.models.site.site_settings import SiteSetting
from registry.models.talk.alerts import Alert
from registry.models.talk.collections import Collection, CollectionItem
from registry.models.talk.events import Event
from registry.models.talk.notices import BaseFollow, Channel, RepositoryWatch, SignInPlace, Topic, TopicChoice
from registry.models.talk.outbox import OutboxEvent
from registry.models.talk.social import Follow, Like
from registry.models.talk.webhooks import Delivery, Watch, Webhook

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
