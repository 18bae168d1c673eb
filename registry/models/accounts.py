"""People, organisations and their namespaces, tokens, and the sign-ins of programs that a browser ends (RFC 8628)."""

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.urls import reverse
from django.utils import timezone


class Namespace(models.Model):
    """The first part of a repository's id; one table, so that a person and an organisation never share a name."""

    class Kind(models.TextChoices):
        PERSON = "person"
        ORGANIZATION = "organization"

    name = models.CharField(max_length=96)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    source = models.CharField(max_length=300, blank=True)  # of another hub's: its address; nobody is behind it here
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("name"), name="namespace_name_unique"),
            models.CheckConstraint(condition=Q(kind__in=["person", "organization"]), name="namespace_kind_known"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("namespace", args=[self.name])


class UserManager(BaseUserManager["User"]):
    """Finds people by name, ignoring case, as sign-in and the Hub's clients expect; machines cannot sign in."""

    def get_by_natural_key(self, username: str | None) -> "User":
        # Not iexact: PostgreSQL treats ı as i, and the count of failed sign-ins by name does not.
        return self.get(username__lower=(username or "").lower(), kind=User.Kind.PERSON)


class User(AbstractBaseUser):
    """A person who signs in, with a namespace of the same name. Staff rights follow from the role alone.

    Two kinds of machines have an account too, as authors of what they push: robots and trusted publishers. They have no
    password, act by fine-grained tokens alone, and write in the one namespace that they work for.
    """

    class Kind(models.TextChoices):
        PERSON = "person"
        ROBOT = "robot"  # a service account of an organisation
        PUBLISHER = "publisher"  # the account of a TrustedPublisher

    class Role(models.TextChoices):
        USER = "user"
        MODERATOR = "moderator"
        ADMIN = "admin"

    class Departure(models.TextChoices):
        LEFT = "left"  # a directory reported that they are gone; it may report them back
        REMOVED = "removed"  # a directory removed them, or they deleted their account: for good

    namespace = models.OneToOneField(Namespace, on_delete=models.PROTECT, related_name="person")
    username = models.CharField(max_length=96, unique=True)
    full_name = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)
    # Proven by a link in a letter, or by the operator
    email_verified = models.BooleanField(default=False, db_default=False)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.PERSON, db_default=Kind.PERSON)
    works_for = models.ForeignKey(  # of machines alone; null when that namespace is gone
        Namespace, on_delete=models.SET_NULL, null=True, blank=True, related_name="machines"
    )
    bio = models.CharField(max_length=500, blank=True)
    links = models.JSONField(default=list, db_default=[], blank=True)  # https addresses that the person shows
    pictured_at = models.DateTimeField(null=True, blank=True)  # when the picture was changed; null without one
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.USER, db_default=Role.USER)
    # False while they are suspended, and when they are gone
    is_active = models.BooleanField(default=True, db_default=True)
    suspended_at = models.DateTimeField(null=True, blank=True)  # null: not suspended
    suspended_until = models.DateTimeField(null=True, blank=True)  # null: no end is set
    departure = models.CharField(max_length=8, choices=Departure.choices, blank=True)  # of people who are gone
    paused_until = models.DateTimeField(null=True, blank=True)  # until when strikes keep them from publishing
    is_trusted_reporter = models.BooleanField(default=False, db_default=False)  # an administrator trusts their reports
    mail_alerts = models.BooleanField(default=True, db_default=True)  # whether alerts are also sent by e-mail
    digest_hour = models.PositiveSmallIntegerField(default=7, db_default=7)  # of UTC, when the daily digest is sent
    digested_at = models.DateTimeField(null=True, blank=True)  # when the last digest was sent
    # When the hub lost chunks that their clients remember having sent; a part of their Xet address (features/xet)
    chunks_lost_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name, verbose_name_plural = "person", "people"
        constraints = [
            # An address that nobody has proven belongs to nobody: it must not keep its owner out.
            models.UniqueConstraint(
                Lower("email"), name="user_email_unique", condition=Q(email_verified=True) & ~Q(email="")
            ),
            models.CheckConstraint(condition=Q(role__in=["user", "moderator", "admin"]), name="user_role_known"),
            models.CheckConstraint(condition=Q(kind__in=["person", "robot", "publisher"]), name="user_kind_known"),
            models.CheckConstraint(condition=Q(departure__in=["", "left", "removed"]), name="user_departure_known"),
            models.CheckConstraint(
                condition=Q(is_active=False) | Q(departure="", suspended_at__isnull=True),
                name="user_active_is_here",
            ),
            models.CheckConstraint(
                condition=Q(kind="person", works_for__isnull=True) | ~Q(kind="person") & Q(role="user"),
                name="user_machine_is_no_staff",
            ),
        ]
        # Lists exclude the repositories of suspended people, however many people there are.
        indexes = [models.Index(fields=["namespace"], name="user_suspended", condition=Q(is_active=False))]

    def __str__(self) -> str:
        return self.username

    def get_absolute_url(self) -> str:
        """Return the path of a person's page; of a machine, the page of the namespace that it works for."""
        if self.is_machine:
            return self.works_for.get_absolute_url() if self.works_for else reverse("home")
        return reverse("namespace", args=[self.username])

    @property
    def is_machine(self) -> bool:
        return self.kind != User.Kind.PERSON

    @property
    def robot_name(self) -> str:
        """The name of a robot within its organisation: deploy of acme+deploy."""
        return self.username.partition("+")[2]

    @property
    def is_staff(self) -> bool:
        """True if this person may use the site administration."""
        return self.role == User.Role.ADMIN

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return self.is_active and self.is_staff

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_staff


class Avatar(models.Model):
    """The picture of a person: small, and encoded by the hub itself."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="avatar")
    webp = models.BinaryField()


class Organization(models.Model):
    """People who share a namespace."""

    namespace = models.OneToOneField(Namespace, on_delete=models.PROTECT, related_name="organization")
    full_name = models.CharField(max_length=200, blank=True)
    private_by_default = models.BooleanField(default=False, db_default=False)
    # Of its members; without one their role gives nothing
    requires_second_factor = models.BooleanField(default=False, db_default=False)

    class Meta:
        verbose_name = "organisation"

    def __str__(self) -> str:
        return self.namespace.name

    def get_absolute_url(self) -> str:
        return self.namespace.get_absolute_url()


class Membership(models.Model):
    """A person's role in an organisation; the roles from the weakest to the strongest."""

    class Role(models.TextChoices):
        MEMBER = "member"  # belongs to the organisation, and has only the roles that teams give
        READ = "read"
        CONTRIBUTOR = "contributor"
        WRITE = "write"
        ADMIN = "admin"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    # A copy of the grants of their teams, [type, pattern, role] each, kept by teams.py: every request
    # and list asks for it, and reads it with the row of the membership.
    grants = models.JSONField(default=list, db_default=[], blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="membership_unique"),
            models.CheckConstraint(
                condition=Q(role__in=["member", "read", "contributor", "write", "admin"]), name="membership_role_known"
            ),
        ]


class Token(models.Model):
    """A bearer token; only the sha256 of its value is kept."""

    NOTICE = timedelta(days=7)  # before its end its owner is alerted

    class Role(models.TextChoices):
        READ = "read"
        WRITE = "write"
        FINE_GRAINED = "fine-grained"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    role = models.CharField(max_length=16, choices=Role.choices)
    sha256 = models.CharField(max_length=64, unique=True)
    # Fine-grained only: ns/name or ns/prefix* in lower case → read, write, or for machines create (and write).
    grants = models.JSONField(default=dict, db_default={}, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True)  # when its owner was alerted that it is about to end

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["expires_at"], name="token_by_end", condition=Q(reminded_at__isnull=True))]
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="token_name_unique"),
            models.CheckConstraint(condition=Q(role__in=["read", "write", "fine-grained"]), name="token_role_known"),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="token_sha256_shape"),
        ]

    @property
    def has_ended(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def ends_soon(self) -> bool:
        """True within the days before its end in which its owner is alerted."""
        return self.expires_at is not None and self.expires_at <= timezone.now() + Token.NOTICE


class NamespaceQuota(models.Model):
    """The limits of one namespace, and the last alert that its use came close to them."""

    namespace = models.OneToOneField(Namespace, on_delete=models.CASCADE, related_name="quota")
    bytes = models.BigIntegerField(null=True, blank=True)  # null: the hub's limit; 0: no limit
    repositories = models.PositiveIntegerField(null=True, blank=True)  # the same
    reason = models.CharField(max_length=300, blank=True)
    by = models.CharField(max_length=96, blank=True)  # the administrator; empty for the operator at the command line
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    alerted = models.PositiveSmallIntegerField(default=0, db_default=0)  # percent of the last alert: 0, 80 or 100

    class Meta:
        verbose_name = "quota"
        constraints = [
            models.CheckConstraint(
                condition=Q(bytes__isnull=True) | Q(bytes__gte=0), name="namespace_quota_bytes_not_negative"
            ),
            models.CheckConstraint(condition=Q(alerted__in=[0, 80, 100]), name="namespace_quota_alert_known"),
        ]

    def __str__(self) -> str:
        return f"quota of {self.namespace}"


class SignInPlace(models.Model):
    """A browser and a network that a person signed in from; only their digest is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_in_places")
    sha256 = models.CharField(max_length=64)
    used_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "sha256"], name="sign_in_place_unique")]

    def __str__(self) -> str:
        return f"a place of {self.user}"
