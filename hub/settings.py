"""Every setting of Dovetail, read from DOVETAIL_* variables here and by the modules that this file calls."""

import re
from pathlib import Path
from types import FunctionType
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.core.exceptions import ImproperlyConfigured

import features
from hub import environment
from hub.about import PORT, SERVES_FROM, VERSION
from hub.environment import Environment, limit, networks, one_of, words
from hub.server import proxies

env = Environment()
ROOT = Path(__file__).resolve().parent.parent
DATA = Path(env("DATA", default="data")).resolve()
PRODUCTION = env.bool("PRODUCTION", default=False)
DEBUG = env.bool("DEBUG", default=False)


def _secret_key() -> str:
    """Return DOVETAIL_SECRET_KEY, else the key file that `make up` wrote under DATA."""
    if given := env("SECRET_KEY"):
        return str(given)
    file = DATA / "secret_key"
    if not PRODUCTION and file.exists():
        return file.read_text().strip()
    raise ImproperlyConfigured(
        f"There is no secret key: set DOVETAIL_SECRET_KEY to at least 50 random characters"
        f"{'' if PRODUCTION else f', or run `make up`, which writes one to {file}'}."
    )


SECRET_KEY = _secret_key()
SECRET_KEY_FALLBACKS = env("FORMER_SECRET_KEYS", words, default=[])
if len(SECRET_KEY) < 50:
    raise ImproperlyConfigured("DOVETAIL_SECRET_KEY is too short: it needs at least 50 random characters.")
if PRODUCTION and DEBUG:
    raise ImproperlyConfigured("DOVETAIL_DEBUG must be off when DOVETAIL_PRODUCTION is on.")

# --- public address and callers ---------------------------------------------------------------------------------------
PUBLIC_URL = env("PUBLIC_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
ALLOWED_HOSTS = env("ALLOWED_HOSTS", words, default=[]) or [urlsplit(PUBLIC_URL).hostname or "127.0.0.1"]
if not PRODUCTION:
    ALLOWED_HOSTS += ["127.0.0.1", "localhost", "[::1]"]
if PRODUCTION and "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("DOVETAIL_ALLOWED_HOSTS must name hosts: * would let anybody forge links in mails.")
TRUSTED_PROXIES = env("TRUSTED_PROXIES", networks, default=[])
PROXY_HEADER = env("PROXY_HEADER", one_of(proxies.X_FORWARDED_FOR, proxies.FORWARDED), default=proxies.X_FORWARDED_FOR)
SECURE_PROXY_SSL_HEADER = (proxies.SCHEME, "https")
AUDIT_ADDRESS = env("AUDIT_ADDRESS", one_of("full", "truncated", "none"), default="full")
HTTPS = PUBLIC_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = [urljoin(PUBLIC_URL, "/").rstrip("/")]
CORS_ORIGINS = env("CORS_ORIGINS", words, default=[])
CORS_CREDENTIALS = env.bool("CORS_CREDENTIALS", default=False)
if CORS_CREDENTIALS and (not CORS_ORIGINS or "*" in CORS_ORIGINS):
    raise ImproperlyConfigured(
        "DOVETAIL_CORS_CREDENTIALS lets pages of other origins act as the person who is signed in: name these origins "
        "one by one in DOVETAIL_CORS_ORIGINS."
    )
FORCE_SCRIPT_NAME = urlsplit(PUBLIC_URL).path or None  # a hub at https://example.org/hub is mounted below /hub

# --- applications -----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",  # its widgets, for the renderer of hub.site.forms
    "rest_framework",
    "drf_spectacular",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.usersessions",
    "registry",
    "workers",
    "hub.site",
    *features.APPS,
    "django.contrib.admin.apps.SimpleAdminConfig",  # behind the feature whose templates replace some of it
]
MIDDLEWARE = [
    "hub.server.proxies.TrustedProxies",
    "hub.monitoring.logs.RequestId",
    "hub.read_only.VerifiedView",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "hub.identity.CallerMiddleware",
    "hub.languages.PageLanguage",
    "hub.limits.PageLimits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "hub.site.sign_in.sessions.LastSeen",
    "hub.site.headers.SecurityHeaders",
    "hub.server.large_bodies.LargeBodies",
]
if CORS_ORIGINS:  # off by default: then nothing of it is loaded
    INSTALLED_APPS.append("corsheaders")
    MIDDLEWARE.insert(1, "corsheaders.middleware.CorsMiddleware")
    CORS_ALLOW_ALL_ORIGINS = "*" in CORS_ORIGINS
    CORS_ALLOWED_ORIGINS = [] if CORS_ALLOW_ALL_ORIGINS else CORS_ORIGINS
    CORS_ALLOW_CREDENTIALS = CORS_CREDENTIALS
    CORS_URLS_REGEX = proxies.CORS_PATHS
    CORS_ALLOW_HEADERS = proxies.CORS_ASKED
    CORS_EXPOSE_HEADERS = proxies.CORS_TOLD
    CORS_PREFLIGHT_MAX_AGE = 600
    if CORS_CREDENTIALS:
        CSRF_TRUSTED_ORIGINS += CORS_ORIGINS
ROOT_URLCONF = "hub.urls"
WSGI_APPLICATION = "hub.wsgi.application"
APPEND_SLASH = False  # a redirect would turn a client's POST into a GET
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # the other one signs a cookie first
STATIC_URL = "static/"  # below what the hub is mounted below
STATIC_ROOT = Path(env("STATIC_ROOT", default=str(DATA / "run" / "static")))
STATICFILES_DIRS = [ROOT / "static", ("docs/img", ROOT / "docs" / "img")]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- state ------------------------------------------------------------------------------------------------------------
DATABASES = {
    "default": env("DATABASE_URL", environment.database, default=f"sqlite:///{DATA / 'db.sqlite3'}", parse_default=True)
}
# Read by registry.sql.schema, which may not import hub.about.
RELEASE, SERVES_FROM = VERSION, SERVES_FROM
# Of `manage.py migrate` on tables that are in use: until a statement that keeps others from a table gives up waiting
# for it, and gives up working on it. Building an index or checking rows keeps nobody away, and has no limit.
ZERO_DOWNTIME_MIGRATIONS_LOCK_TIMEOUT = "2s"
ZERO_DOWNTIME_MIGRATIONS_STATEMENT_TIMEOUT = "10s"
ZERO_DOWNTIME_MIGRATIONS_FLEXIBLE_STATEMENT_TIMEOUT = True
ZERO_DOWNTIME_MIGRATIONS_IDEMPOTENT_SQL = True
_LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
CACHES = {
    # allauth counts guesses and remembers used codes here: all web processes must see the same.
    "default": {"BACKEND": "hub.server.shared_cache.SharedCache"},
    # Request counters have their own cache, because the default one drops entries when it holds 300.
    "counters": {"BACKEND": _LOCMEM, "LOCATION": "counters", "OPTIONS": {"MAX_ENTRIES": 50_000}},
}
BLOBS = env("BLOBS", environment.blob_store, default=f"file://{DATA / 'blobs'}")
ACCEL_REDIRECT = env("ACCEL_REDIRECT").rstrip("/")
if ACCEL_REDIRECT and not (BLOBS.startswith("file://") and ACCEL_REDIRECT.startswith("/")):
    raise ImproperlyConfigured(
        "DOVETAIL_ACCEL_REDIRECT is the path of an internal location of nginx, such as /_blobs, that has the folder of "
        "DOVETAIL_BLOBS; it needs a store of files (file://…), since S3 serves its own."
    )
SHELF = Path(env("SHELF", default=str(DATA / "shelf")))
_BROKER_OF_MAKE_UP = f"redis+socket://{DATA / 'run' / 'broker.sock'}"
BROKER_URL = env("BROKER_URL", environment.broker, default=_BROKER_OF_MAKE_UP)
WEBHOOK_ALLOW = env("WEBHOOK_ALLOW", words, default=[])
CI_ISSUERS = env("CI_ISSUERS", words, default=["https://token.actions.githubusercontent.com", "https://gitlab.com"])
METRICS_TOKEN = env("METRICS_TOKEN")
UPSTREAM = environment.upstreams(env, size=100 << 30)
MAIL_FROM = env("MAIL_FROM")
SECURITY_CONTACT = env("SECURITY_CONTACT", environment.contacts, default=[])
SMTP = env("SMTP_URL", environment.smtp, default=environment.Smtp())
EMAIL_HOST, EMAIL_PORT, EMAIL_USE_SSL, EMAIL_USE_TLS = SMTP.host, SMTP.port, SMTP.ssl, SMTP.tls
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_TIMEOUT = SMTP.user, SMTP.password, 20
if bool(MAIL_FROM) != bool(EMAIL_HOST):
    raise ImproperlyConfigured("DOVETAIL_SMTP_URL and DOVETAIL_MAIL_FROM belong together: set both, or none.")

# --- limits -----------------------------------------------------------------------------------------------------------
MAX_FILE_BYTES = env.int("MAX_FILE_BYTES", default=5 << 30)
MAX_PUSH_BYTES = env.int("MAX_PUSH_BYTES", default=20 << 30)
MAX_INLINE_BYTES = env.int("MAX_INLINE_BYTES", default=10 << 20)
LFS_PART_BYTES = env.int("LFS_PART_BYTES", default=512 << 20)
# Of one namespace; 0: no limit; None: none, but while registration is open that of quotas.py.
QUOTA_BYTES = env("QUOTA_BYTES", limit, default=None)
QUOTA_REPOSITORIES = env("QUOTA_REPOSITORIES", limit, default=None)
RETIRED_NAME_DAYS = env.int("RETIRED_NAME_DAYS", default=0)  # how long a name that was given up is kept; 0: for ever
XET_READ = env.bool("XET_READ", default=True)
XORB_DAYS = env.int("XORB_DAYS", default=35)
DOWNLOAD_URL_SECONDS = 60
UPLOAD_URL_SECONDS = 3600
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 << 20
DATA_UPLOAD_MAX_NUMBER_FILES = 1000
FILE_UPLOAD_HANDLERS = [
    "hub.server.uploads.FormFiles",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

# --- validation -------------------------------------------------------------------------------------------------------
ENGINES = Path(env("ENGINES", default=str(ROOT / ".engines")))
ENGINE_DEVICE = env("ENGINE_DEVICE", default="cpu")
ENGINE_DTYPE = env("ENGINE_DTYPE", one_of("auto", "float32", "bfloat16"), default="auto")
ENGINE_MEMORY = env.int("ENGINE_MEMORY", default=8 << 30)
ENGINE_SECONDS = env.int("ENGINE_SECONDS", default=120)  # of processor time
ENGINE_IDLE_SECONDS = env.int("ENGINE_IDLE_SECONDS", default=300)  # for which an engine without a job is kept; 0: ever
ENGINE_HANG_SECONDS = env.int("ENGINE_HANG_SECONDS", default=30)  # in which a check does nothing
WEB_PROCESSES = env.int("WEB_PROCESSES", default=0) or environment.web_processes()  # read by deploy/gunicorn.conf.py
WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=0) or environment.slots()
WORKER_IDLE_SECONDS = env.int("WORKER_IDLE_SECONDS", default=0)  # after which a worker ends; 0: never
WARM_MEMORY = env.int("WARM_MEMORY", default=0) or environment.memory() // 2  # of a worker's idle engines
TRY = env("TRY", one_of("members", "off", "everyone"), default="members")  # who may try adapters with a text
VERIFIED_DEPTH = env("VERIFIED_DEPTH", one_of("run", "fit"), default="run")  # what a version needs to be `verified`
RENEWALS_AN_HOUR = env.int("RENEWALS_AN_HOUR", default=240)
OWNER_PENDING = env.int("OWNER_PENDING", default=100)
SEARCH_SECONDS = env.int("SEARCH_SECONDS", default=60)  # of processor time, for the files of one version
SEARCH_SECONDS_A_DAY = env.int("SEARCH_SECONDS_A_DAY", default=1200)  # for all versions of one author
PUSH_QUIET_SECONDS = env.int("PUSH_QUIET_SECONDS", default=300)
LEASE_SECONDS = 60
HEARTBEAT_SECONDS = 10
SWEEP_SECONDS = 30
MAX_ATTEMPTS = 3
LETTERBOX = "hub.celery.send_letter"  # called with one letter to one person
POSTMAN = "hub.celery.post"  # called with the id of a webhook delivery after the commit that queued it
COMPARISON_DOORBELL = "hub.celery.compare_weights"  # called after a commit that queued a comparison of weights
OUTBOX_DOORBELL = "hub.celery.dispatch"  # called after a commit that wrote events into the outbox
SCAN_DOORBELL = "hub.celery.scan"  # called after a commit that wrote a revision
TRY_DOORBELL = "hub.celery.try_out"  # called with the id of a try, and the queues of the workers that can do it
DERIVE_DOORBELL = "hub.celery.derive"  # called with the id of a derived version that was asked for
DOORBELL = "hub.celery.validate"  # called with a verdict's id after the commit that queued it; the domain has no queue

# --- defaults of the site settings, which an administrator may change (registry.kernel.site_settings) -----------------
FIRST_REGISTRATION = env("REGISTRATION", one_of("open", "invite", "closed"), default="open")
FIRST_ORGANIZATION_INVITATIONS = env("ORGANIZATION_INVITATIONS", one_of("accounts", "anybody"), default="accounts")
FIRST_SECOND_FACTOR = env("SECOND_FACTOR", one_of("optional", "required"), default="optional")
FIRST_PULL_POLICY = env("PULL_POLICY", one_of("open", "verified"), default="open")
FIRST_TOMBSTONES = env("TOMBSTONES", one_of("off", "on"), default="off")
FIRST_BIN_DAYS = env("BIN_DAYS", one_of("30", "90", "7", "0"), default="30")
FIRST_CASE_HOURS = env("CASE_HOURS", one_of("24", "4", "8", "48", "72", "168", "0"), default="24")
FIRST_THROTTLE = env("THROTTLE", one_of("on", "off"), default="on")
FIRST_UPLOADS = env("UPLOADS", one_of("on", "off"), default="on")
FIRST_NEW_REPOSITORIES = env("NEW_REPOSITORIES", one_of("on", "off"), default="on")
FIRST_READ_ONLY = env("READ_ONLY", one_of("on", "off"), default="off")
FIRST_TRANSPARENCY = env("TRANSPARENCY", one_of("public", "staff"), default="public")

# --- people -----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "registry.User"
AUTHENTICATION_BACKENDS = ["hub.passwords.PasswordBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "hub.site.sign_in.allauth_adapters.AccountAdapter"
ACCOUNT_FORMS = {
    "reauthenticate": "hub.site.sign_in.allauth_adapters.Reauthenticate",
    "reset_password": "hub.site.sign_in.allauth_adapters.ResetPassword",
    "reset_password_from_key": "hub.site.sign_in.allauth_adapters.NewPassword",
}
ACCOUNT_EMAIL_VERIFICATION = "optional" if MAIL_FROM else "none"
ACCOUNT_CHANGE_EMAIL = True  # one address a person: a new one takes the place of the old when it is proven
ACCOUNT_PREVENT_ENUMERATION = "strict"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # no letters to strangers
ACCOUNT_EMAIL_NOTIFICATIONS = bool(MAIL_FROM)
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Dovetail] "
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_RATE_LIMITS = {
    # Passwords are throttled by password_sign_in.py; this counts codes of a second factor by their owner.
    "login_failed": "10/m/ip,10/5m/key",
}
MFA_ADAPTER = "hub.site.sign_in.allauth_adapters.MfaAdapter"
MFA_FORMS = {
    "authenticate": "hub.site.sign_in.allauth_adapters.SecondFactor",
    "reauthenticate": "hub.site.sign_in.allauth_adapters.ReauthenticateByCode",
    "activate_totp": "hub.site.sign_in.allauth_adapters.AddApp",
    "add_webauthn": "hub.site.sign_in.allauth_adapters.AddPasskey",
    "edit_webauthn": "hub.site.sign_in.allauth_adapters.RenamePasskey",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = env.bool("PASSWORD_SIGN_IN", default=True)  # passkeys are passwords' heirs
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Dovetail"
MFA_TOTP_TOLERANCE = 1  # clocks of telephones differ by seconds
MFA_ALLOW_UNVERIFIED_EMAIL = True  # people sign in by name: an address that is not proven is reserved for nobody
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS  # browsers allow it on localhost alone
SIGN_ON = False  # whether people sign in by something else than passwords, by a feature
TRACER = ""  # the module that records spans, as registry/kernel/traces.py calls it, by a feature
LOG_HANDLERS: dict[str, object] = {}  # that get each line of the log as well, by features
FIRST_MIDDLEWARE: list[str] = []  # that sees a request before all other, by a feature
for read in features.parts("SETTINGS", FunctionType, "settings"):
    globals().update(read(env))
MIDDLEWARE[:0] = FIRST_MIDDLEWARE
PASSWORD_SIGN_IN = env.bool("PASSWORD_SIGN_IN", default=True)
if not PASSWORD_SIGN_IN and not SIGN_ON:
    raise ImproperlyConfigured(
        "DOVETAIL_PASSWORD_SIGN_IN is off and no identity provider is set up: nobody could sign in. "
        "Set DOVETAIL_OIDC_{NAME}_ISSUER, _CLIENT_ID and _CLIENT_SECRET."
    )
SESSION_COOKIE_AGE = 14 * 24 * 3600  # after the last use
SESSION_DAYS = env.int("SESSION_DAYS", default=30)  # after signing in, however often it is used
if SESSION_DAYS < 1:
    raise ImproperlyConfigured("DOVETAIL_SESSION_DAYS must be 1 or more.")
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# Hubs on one host share a cookie jar (cookies know no port, and __Host- ones no path), so each names its own.
_COOKIE = re.sub(r"\W", "_", f"dovetail_{urlsplit(PUBLIC_URL).port or 0}{urlsplit(PUBLIC_URL).path}")
SESSION_COOKIE_NAME = f"__Host-{_COOKIE}" if HTTPS else _COOKIE
CSRF_COOKIE_NAME = f"{SESSION_COOKIE_NAME}_csrf"
CSRF_FAILURE_VIEW = "hub.site.refusals.csrf"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
X_FRAME_OPTIONS = "DENY"

# --- our REST ---------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["hub.identity.RestAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["hub.api.records.Renderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "hub.api.problems.answer",
    "UNICODE_JSON": False,  # half a surrogate pair can be said back as \ud800, and in no other way
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Dovetail",
    "DESCRIPTION": "The registry where adapters fit.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [],  # enumerations stay where they are used, without invented names
}

# --- language, time, logs ---------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"  # of answers to programs, mails that workers write, and pages by default
LANGUAGES = [("en-gb", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [ROOT / "locale"]
FORMAT_MODULE_PATH = "hub.formats"
LANGUAGE_COOKIE_NAME, LANGUAGE_COOKIE_AGE = "language", 365 * 24 * 3600
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "hub.monitoring.logs.JsonLine"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}, **LOG_HANDLERS},
    "root": {"handlers": ["stderr", *LOG_HANDLERS], "level": env("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.server": {"handlers": ["stderr"], "propagate": False},
        # A line for each message and tick would drown the rest; pipeline.py says what became of a validation.
        "celery.app.trace": {"level": "WARNING"},
        "botocore.credentials": {"level": "WARNING"},  # it says for each client where the keys came from
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}

env.refuse_unknown()
