"""The tables of the registry, one file a noun; the rooms of the registry hold the verbs."""

from registry.models import lookups as lookups
from registry.models.moderation.audit import AuditCheckpoint, AuditEvent, AuditSeal
from registry.models.moderation.cases import AbuseReport, Case, CaseNote, QueueView
from registry.models.moderation.moderation import (
    Appeal,
    AppealMessage,
    BlockedFile,
    ModerationDecision,
    MonthOfModeration,
    Strike,
)
from registry.models.people.devices import DeviceLogin, SignInPlace
from registry.models.people.directory_tokens import DirectoryToken
from registry.models.people.invitations import Invitation, JoinLink
from registry.models.people.names import FormerName, FormerNamespace, NameObservation, NameRule
from registry.models.people.people import Avatar, Membership, Namespace, NamespaceQuota, Organization, Token, User
from registry.models.people.publishers import PublishingRun, TrustedPublisher
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
from registry.models.repos.repositories import ExpiredFile, Ref, Repository, Revision, RevisionFile
from registry.models.site.hub_state import ClockLease, IdempotentRequest, SchemaUpgrade, SiteSetting
from registry.models.site.plane import PlaneName, PlaneRequest
from registry.models.talk.alerts import Alert
from registry.models.talk.events import Event
from registry.models.talk.notices import Channel, RepositoryWatch, Topic, TopicChoice
from registry.models.talk.outbox import OutboxEvent
from registry.models.talk.social import BaseFollow, Follow, Like

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
    "Comparison",
    "CountedDownloads",
    "DailyDownloads",
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
    "RenderedCard",
    "Repository",
    "RepositoryWatch",
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
    "WeightComparison",
    "WeightPassport",
    "WorkerHeartbeat",
    "XetFile",
    "Xorb",
    "XorbSpan",
]
