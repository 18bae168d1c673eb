"""Reads the DOVETAIL_* variables for settings.py with django-environ; says of a value that cannot be used why.

The cores and memory of this machine or container give the defaults of some. DOVETAIL_UPSTREAM* name the hubs from which
repositories that are not here are read, and the rules for it.
"""

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from environ import Env

# Of numpy, which measures weights: its threads for small matrices wait for each other, and starve those of requests.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

PREFIX = "DOVETAIL_"
# The pip client reads these; the person who set them may run a hub too. PORT is of docker-compose.yml.
OTHER_NAMES = frozenset(
    {
        *("DOVETAIL_ENDPOINT", "DOVETAIL_TOKEN", "DOVETAIL_HOME", "DOVETAIL_PORT"),
        *(f"DOVETAIL_VLLM_{name}" for name in ("BASE", "CACHE", "CHECK_SECONDS", "KEEP_SECONDS")),
    }
)
# Settings that are gone, each with what replaces it. A hub that still has one starts.
_NO_REPLICAS = "Remove it; docs/production.md (Read replicas) says how to spread reads over replicas without it."
FORMER_NAMES = {"DOVETAIL_DATABASE_REPLICA_LAG": _NO_REPLICAS, "DOVETAIL_DATABASE_REPLICA_URL": _NO_REPLICAS}


class Environment(Env):  # type: ignore[misc]  # django-environ has no types
    """The variables that begin with DOVETAIL_; an empty one counts as unset.

    `names` holds each name that settings.py has read. A parser raises ValueError with what the value must be.
    """

    def __init__(self, variables: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self.prefix, self.escape_proxy = PREFIX, True
        # django-environ takes a value that begins with $ for the name of another variable; a password may begin so.
        self.ENVIRON = {name: value.replace("$", r"\$") for name, value in variables.items() if value}
        self.names: set[str] = set()

    def get_value(self, var: str, cast: Any = None, default: Any = Env.NOTSET, parse_default: bool = False) -> Any:
        """Return a variable, parsed. Raises ImproperlyConfigured with its name, the reason and what was given."""
        name = PREFIX + var
        self.names.add(name)
        parser = {int: whole_number, bool: on_or_off}.get(cast, cast)
        try:
            return super().get_value(var, parser, "" if default is self.NOTSET else default, parse_default)
        except ValueError as reason:
            given = self.ENVIRON[name].replace(r"\$", "$")
            value = "" if "@" in given else f", not {given!r}"  # before the @ of a URL there may be a password
            raise ImproperlyConfigured(f"{name} must {reason}{value}.") from None

    def refuse_unknown(self) -> None:
        """Raise ImproperlyConfigured for a DOVETAIL_* name that no setting reads: a typo must not pass silently."""
        ours = {name for name in self.ENVIRON if name.startswith(PREFIX)}
        if unknown := sorted(ours - self.names - OTHER_NAMES - FORMER_NAMES.keys()):
            raise ImproperlyConfigured(
                f"Unknown setting {', '.join(unknown)}. The names that exist are listed in docs/settings.md."
            )


@checks.register("settings")
def former_settings(**_: object) -> list[checks.CheckMessage]:
    """Return a warning for each variable that is set and no longer has an effect."""
    return [
        checks.Warning(f"The setting {name} is gone and has no effect.", hint=FORMER_NAMES[name], id="hub.W001")
        for name in sorted(FORMER_NAMES)
        if os.environ.get(name)
    ]


# --- parsers ---------------------------------------------------------------------------------------------------------
def whole_number(value: str) -> int:
    """Parse an integer; sizes and times say their unit in docs/settings.md."""
    try:
        return int(value)
    except ValueError:
        raise ValueError("be a whole number") from None


def limit(value: str) -> int:
    """Parse an upper limit; `none` is 0, which limits nothing."""
    if value.lower() == "none":
        return 0
    if not value.isdecimal():
        raise ValueError("be a whole number, or none")
    return int(value)


def on_or_off(value: str) -> bool:
    """Parse a yes or no; django-environ would take each word that it does not know for a no."""
    if value.lower() in {"1", "on", "true", "yes"}:
        return True
    if value.lower() in {"0", "off", "false", "no"}:
        return False
    raise ValueError("be on or off")


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser that takes these words only."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"be one of {', '.join(choices)}")
        return value

    return parse


def words(value: str) -> list[str]:
    """Parse a list separated by commas."""
    return [word.strip() for word in value.split(",") if word.strip()]


def contacts(value: str) -> list[str]:
    """Parse where people report a vulnerability, as security.txt writes it."""
    if not all(re.fullmatch(r"(mailto:|https://)[!-~]+", word) for word in words(value)):
        raise ValueError("be mailto:NAME@HOST or https:// addresses, separated by commas")
    return words(value)


def networks(value: str) -> list[str]:
    """Parse addresses and networks, such as 10.0.0.2,172.30.0.0/16; a network of all addresses would trust anybody."""
    try:
        parsed = [ip_network(proxy, strict=False) for proxy in words(value)]
    except ValueError:
        raise ValueError("be addresses or networks, such as 10.0.0.2,172.30.0.0/16") from None
    if not all(network.prefixlen for network in parsed):
        raise ValueError("be networks of your own proxies: all in them can forge addresses")
    return [str(network) for network in parsed]


def _parts(url: str) -> SplitResult:
    """Split a URL that names a server. Raises ValueError, whose own message would show a piece of the password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("be a URL; in a password write / as %2F, [ as %5B, # as %23 and ? as %3F") from None
    return parts


def _servers(url: str) -> list[SplitResult]:
    """Split a URL that may name several servers, as libpq takes them: user:password@h1:5432,h2:5432/name."""
    scheme, slashes, rest = url.partition("//")
    place, slash, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    return [_parts(f"{scheme}{slashes}{user}{at}{host}{slash}{path}") for host in hosts.split(",")]


def database(url: str) -> dict[str, object]:
    """Turn sqlite:///PATH or postgres://user:password@host:port/name into Django's dictionary.

    Several hosts of PostgreSQL are tried in turn, until one takes writes.
    """
    servers = _servers(url)
    parts = servers[-1]
    if parts.scheme == "sqlite":
        # Opening the file and setting it up takes longer than answering a request.
        kept: dict[str, object] = {"CONN_MAX_AGE": SQLITE_KEPT_SECONDS, "OPTIONS": dict(SQLITE_OPTIONS)}
        return {"ENGINE": "hub.server.sqlite", "NAME": parts.path, **kept}
    if parts.scheme in {"postgres", "postgresql"}:
        options: dict[str, Any] = VANISHED | {key: values[-1] for key, values in parse_qs(parts.query).items()}
        # A connection for each thread would exhaust PostgreSQL's default limit of 100.
        if len(servers) > 1:
            options = {"target_session_attrs": "read-write", "connect_timeout": FAILOVER_SECONDS, **options}
        most = options.pop("pool_size", str(POOL_SIZE))
        if not most.isdecimal() or not int(most):
            raise ValueError("have a pool_size of at least 1")
        options["pool"] = {"min_size": 1, "max_size": int(most), "timeout": POOL_SECONDS}
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path.lstrip("/"),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": ",".join(server.hostname or "" for server in servers),
            "PORT": ",".join(str(server.port or "") for server in servers),
            "CONN_MAX_AGE": 0,
            "OPTIONS": options,
        }
    raise ValueError("begin with sqlite:// or postgres://")


def broker(url: str) -> str:
    """Return the address of the broker as it was written. Half of the hub would know nothing of Sentinel or Cluster."""
    if url.startswith("sentinel") or (url.startswith("redis:") and "," in urlsplit(url).netloc.rpartition("@")[2]):
        raise ValueError("be one address: put HAProxy in front of Sentinel, as docs/high-availability.md says")
    return url


def bind_statements(database: dict[str, Any]) -> None:
    """Let PostgreSQL end a statement of a page or a request after a minute. Jobs and migrations may take longer.

    The operator's own `?options=` in the address comes last, and so decides.
    """
    if database["ENGINE"] == "django.db.backends.postgresql":
        options = database["OPTIONS"]
        options["options"] = f"-c statement_timeout={STATEMENT_SECONDS}s {options.get('options', '')}".strip()


def http_url(url: str) -> str:
    """Return http(s)://HOST… as it was written, without a slash at its end."""
    if _parts(url).scheme not in {"http", "https"} or not _parts(url).hostname:
        raise ValueError("be http://HOST… or https://HOST…")
    return url.rstrip("/")


def blob_store(url: str) -> str:
    """Return file://DIR or s3://bucket?endpoint=URL as it was written."""
    parts = urlsplit(url)
    if not (parts.scheme == "file" and parts.netloc + parts.path) and not (parts.scheme == "s3" and parts.netloc):
        raise ValueError("be file://DIR or s3://bucket?endpoint=URL")
    return url


class Smtp(NamedTuple):
    """The server that takes our mail; without a host none is sent."""

    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""
    ssl: bool = False
    tls: bool = False


def smtp(url: str) -> Smtp:
    """Turn smtp://user:password@host:port into its parts; smtps is TLS from the first byte, smtp+tls by STARTTLS."""
    parts = _parts(url)
    ports = {"smtp": 25, "smtps": 465, "smtp+tls": 587}
    if parts.scheme not in ports or not parts.hostname:  # not ValueError, whose sentence would show the password
        raise ImproperlyConfigured("DOVETAIL_SMTP_URL must be smtp://, smtps:// or smtp+tls:// with a host.")
    return Smtp(
        parts.hostname,
        parts.port or ports[parts.scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        ssl=parts.scheme == "smtps",
        tls=parts.scheme == "smtp+tls",
    )


POOL_SIZE = 10  # connections of one process
FAILOVER_SECONDS = 3  # for one of several hosts of PostgreSQL to take a connection
# A machine that is gone closes no connection, and TCP itself would wait for it for a quarter of an hour.
VANISHED = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 2, "tcp_user_timeout": 10_000}  # s, ms
POOL_SECONDS = 5.0  # until a request without a connection is refused (503): a database that is down holds no threads
STATEMENT_SECONDS = 60  # of one statement of a page or a request
SQLITE_KEPT_SECONDS = 300
# IMMEDIATE, because under WAL a deferred transaction that reads and then writes fails at once when
# another one wrote in between, whatever the timeout.
SQLITE_OPTIONS: dict[str, object] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536; PRAGMA mmap_size=268435456;"
        "PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=67108864;"
    ),
}


GIB = 1 << 30
CGROUP = Path("/sys/fs/cgroup")
MEMORY_MAX, CPU_MAX = CGROUP / "memory.max", CGROUP / "cpu.max"  # of the container
WEB_MEMORY = GIB // 2  # of one web process under load, with room
WEB_PROCESSES_MOST = 8  # by default; with ten connections each they leave some of PostgreSQL's hundred


def memory() -> int:
    """Return the bytes of memory of this machine, or of the container where that is less."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = MEMORY_MAX.read_text().strip() if MEMORY_MAX.exists() else "max"
    return min(whole, int(limit)) if limit.isdigit() else whole


def cores() -> int:
    """Return how many cores this process may use, at least 1; a container's share counts, as in Kubernetes' limits."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = CPU_MAX.read_text().partition(" ") if CPU_MAX.exists() else ("max", "", "")
    return max(1, min(usable, int(quota) // int(period))) if quota.isdigit() else usable


def slots() -> int:
    """Return how many validations run in parallel: one a core, with at least 2 GiB of memory each."""
    return max(1, min(cores(), memory() // (2 * GIB)))


def web_processes() -> int:
    """Return how many processes answer requests: one a core, and two on a single one, so that one may be replaced."""
    return max(2, min(cores(), memory() // WEB_MEMORY, WEB_PROCESSES_MOST))


class Upstream(NamedTuple):
    """Another hub: its address, without a slash at the end, and the token that this hub reads it with."""

    url: str
    token: str = ""

    def __repr__(self) -> str:
        """Leave the token out: settings are shown on debug pages and in logs."""
        return f"Upstream({self.url!r})"


class Upstreams(NamedTuple):
    """All of them in the order in which they are asked, and what may be read from them."""

    hubs: tuple[Upstream, ...] = ()
    mode: str = "cache"
    allow: tuple[str, ...] = ()  # patterns of namespace/name; none: all
    deny: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()  # as cards name them; none: all
    bases: tuple[str, ...] = ()  # patterns of bases that workers fetch when an adapter waits for one
    gated: str = "off"  # who may read what only the token of this hub may: off, members
    hosts: tuple[str, ...] = ()  # that a hub may redirect to; none: any public one
    size: int = 0
    refs_seconds: int = 0
    missing_seconds: int = 0
    days: int = 90  # after which what nobody read is forgotten
    streams: int = 0  # requests of one web process that may wait for a hub at once
    offline: bool = False


def upstreams(env: Environment, size: int) -> Upstreams:
    """Return the hubs and rules; `size` is the default for the cache. Raises ImproperlyConfigured."""
    urls = env("UPSTREAM", words, default=[])
    tokens = _tokens(env, len(urls))
    return Upstreams(
        hubs=tuple(Upstream(_hub_address(url), token) for url, token in zip(urls, tokens, strict=True)),
        mode=env("UPSTREAM_MODE", one_of("cache", "redirect"), default="cache"),
        allow=_patterns(env, "UPSTREAM_ALLOW"),
        deny=_patterns(env, "UPSTREAM_DENY"),
        licenses=_patterns(env, "UPSTREAM_LICENSES"),
        bases=_patterns(env, "UPSTREAM_BASES"),
        gated=env("UPSTREAM_GATED", one_of("off", "members"), default="off"),
        hosts=_patterns(env, "UPSTREAM_HOSTS"),
        size=env("UPSTREAM_SIZE", _positive, default=size),
        refs_seconds=env("UPSTREAM_REFS_TTL", _positive, default=300),
        missing_seconds=env("UPSTREAM_MISSING_TTL", _positive, default=300),
        days=env("UPSTREAM_DAYS", _positive, default=90),
        streams=env("UPSTREAM_STREAMS", _positive, default=8),  # with slow readers three times as many threads, of 64
        offline=env.bool("UPSTREAM_OFFLINE", default=False),
    )


def _patterns(env: Environment, name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in env(name, words, default=[]))


def _positive(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ValueError("be a whole number above 0")
    return int(value)


def _tokens(env: Environment, count: int) -> list[str]:
    """Return one token for each hub, empty for one that is read without."""
    given, files = env("UPSTREAM_TOKEN"), env("UPSTREAM_TOKEN_FILE")
    if given and files:
        raise ImproperlyConfigured("Set DOVETAIL_UPSTREAM_TOKEN or DOVETAIL_UPSTREAM_TOKEN_FILE, not both.")
    name = "DOVETAIL_UPSTREAM_TOKEN_FILE" if files else "DOVETAIL_UPSTREAM_TOKEN"
    values = [value.strip() for value in (given or files).split(",")] if given or files else []
    if len(values) > count:
        raise ImproperlyConfigured(f"{name} has more values than DOVETAIL_UPSTREAM has addresses.")
    tokens = [_read_token(value) if value else "" for value in values] if files else values
    if any(not token.isascii() or not token.isprintable() or " " in token for token in tokens):
        raise ImproperlyConfigured(f"{name} must hold tokens of printable characters without spaces.")
    return tokens + [""] * (count - len(tokens))


def _read_token(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, ValueError) as problem:
        raise ImproperlyConfigured(f"DOVETAIL_UPSTREAM_TOKEN_FILE: {file} cannot be read: {problem}.") from None


def _hub_address(url: str) -> str:
    try:
        parts = _parts(url)
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ImproperlyConfigured("DOVETAIL_UPSTREAM must hold addresses such as https://hub.example.org.")
    if parts.username is not None or parts.password is not None:
        raise ImproperlyConfigured("DOVETAIL_UPSTREAM holds a password: give a token in DOVETAIL_UPSTREAM_TOKEN.")
    return url.rstrip("/")
