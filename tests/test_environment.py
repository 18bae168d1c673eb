"""The environment as settings are read from it: defaults, types, and a sentence for each value that cannot be used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hub.environment import (
    FORMER_NAMES,
    Environment,
    Smtp,
    blob_store,
    broker,
    database,
    former_settings,
    networks,
    one_of,
    smtp,
    words,
)
from tests.sweep import sweep


def test_an_unset_or_empty_variable_is_the_default() -> None:
    env = Environment({"DOVETAIL_EMPTY": ""})
    for name in ("EMPTY", "UNSET"):
        assert env(name) == ""
        assert env(name, default="x") == "x"
        assert env.int(name, default=5) == 5
        assert env.bool(name, default=True) is True
        assert env(name, words, default=[]) == []
        assert env(name, smtp, default=Smtp()).host == ""


def test_a_value_is_taken_as_it_was_written() -> None:
    for value in ("$HOME", r"\$HOME", "a$b", r"a\b", " x ", "{x}"):
        env = Environment({"DOVETAIL_TOKEN": value, "DOVETAIL_HOME": "elsewhere", "HOME": "/root"})
        assert env("TOKEN") == value


def test_values_have_their_types() -> None:
    env = Environment({"DOVETAIL_A": "12", "DOVETAIL_B": "Yes", "DOVETAIL_C": "off", "DOVETAIL_D": "a, b,,c"})
    assert (env.int("A", default=0), env.bool("B", default=False), env.bool("C", default=True)) == (12, True, False)
    assert env("D", words, default=[]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("parser", "value", "sentence"),
    [
        (int, "ten", "DOVETAIL_X must be a whole number, not 'ten'."),
        (
            networks,
            "10.0.0.300",
            "DOVETAIL_X must be addresses or networks, such as 10.0.0.2,172.30.0.0/16, not '10.0.0.300'.",
        ),
        (
            networks,
            "10.0.0.2,::/0",
            "DOVETAIL_X must be networks of your own proxies: all in them can forge addresses, not '10.0.0.2,::/0'.",
        ),
        (int, "1.5", "DOVETAIL_X must be a whole number, not '1.5'."),
        (bool, "maybe", "DOVETAIL_X must be on or off, not 'maybe'."),
        (bool, "ok", "DOVETAIL_X must be on or off, not 'ok'."),
        (one_of("a", "b"), "$c", "DOVETAIL_X must be one of a, b, not '$c'."),
        (database, "mysql://x", "DOVETAIL_X must begin with sqlite:// or postgres://, not 'mysql://x'."),
        (blob_store, "ftp://x", "DOVETAIL_X must be file://DIR or s3://bucket?endpoint=URL, not 'ftp://x'."),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_the_reason(parser, value: str, sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        Environment({"DOVETAIL_X": value})("X", parser)
    assert str(refusal.value) == sentence


def test_a_mail_server_that_cannot_be_used_is_refused_without_its_password() -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        Environment({"DOVETAIL_SMTP_URL": "imap://user:hunter2@host"})("SMTP_URL", smtp)
    assert "smtp+tls://" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("parser", [database, smtp])
@pytest.mark.parametrize("scheme", ["postgres", "mysql", "smtp"])
@sweep("password", ["s3cr/et", "s3cr[et", "s3cr]et", "s3cret"])
def test_no_refusal_shows_a_piece_of_a_password(parser, scheme: str, password: str) -> None:
    env = Environment({"DOVETAIL_X": f"{scheme}://hub:{password}@host:25x/name"})
    with pytest.raises(ImproperlyConfigured) as refusal:
        env("X", parser)
    assert "s3cr" not in str(refusal.value)


def test_urls_are_taken_apart() -> None:
    env = Environment({"DOVETAIL_D": "postgres://me:a%2Bb+c@db:5433/hub?sslmode=require", "DOVETAIL_M": "smtps://m"})
    parts = env("D", database)
    assert (parts["HOST"], parts["PORT"], parts["NAME"], parts["PASSWORD"]) == ("db", "5433", "hub", "a+b+c")
    assert parts["OPTIONS"]["sslmode"] == "require"
    assert (env("M", smtp).port, env("M", smtp).ssl, env("M", smtp).tls) == (465, True, False)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgres://me:pw@h1:5432,h2:5433/hub", "h1,h2", "5432,5433"),
        ("postgres://me:p,w@h1,h2/hub", "h1,h2", ","),
        ("postgresql://[::1]:5432,h2:1/hub?connect_timeout=3", "::1,h2", "5432,1"),
    ],
)
def test_several_hosts_of_postgresql_are_tried_until_one_takes_writes(url: str, host: str, port: str) -> None:
    parts = database(url)
    assert (parts["HOST"], parts["PORT"], parts["NAME"]) == (host, port, "hub")
    assert parts["OPTIONS"]["target_session_attrs"] == "read-write"
    assert int(parts["OPTIONS"]["connect_timeout"]) == 3
    known = conninfo_to_dict(make_conninfo(host=host, port=port, dbname="hub"))
    assert (known["host"], known["port"]) == (host, port)


def test_one_host_and_options_of_ones_own_stay_as_they_are() -> None:
    assert "target_session_attrs" not in database("postgres://db/hub")["OPTIONS"]
    assert database("postgres://a,b/hub?target_session_attrs=any")["OPTIONS"]["target_session_attrs"] == "any"
    assert database("sqlite:///a/b,c.sqlite3")["NAME"] == "/a/b,c.sqlite3"
    with pytest.raises(ImproperlyConfigured, match="be a URL"):
        Environment({"DOVETAIL_X": "postgres://me:pw@h1:5432,h2:x/hub"})("X", database)


@pytest.mark.parametrize("url", ["sentinel://h1:26379;sentinel://h2:26379", "redis://h1:6379,h2:6379/0"])
def test_sentinel_is_refused_at_the_start_in_one_sentence(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DOVETAIL_X must be one address: put HAProxy in front of Sentinel"):
        Environment({"DOVETAIL_X": url})("X", broker)
    for one in ("redis://:p,w@h:6379/0", "rediss://h/1", "redis+socket:///a,b", "amqp://h1//"):
        assert broker(one) == one


def test_a_name_that_nobody_reads_is_refused() -> None:
    env = Environment({"DOVETAIL_PUBLIC_ULR": "x", "DOVETAIL_TOKEN": "of the client", "OTHER": "1"})
    env("PUBLIC_URL")
    with pytest.raises(ImproperlyConfigured, match=r"Unknown setting DOVETAIL_PUBLIC_ULR\."):
        env.refuse_unknown()


def test_a_hub_with_a_setting_that_is_gone_starts_and_says_what_replaces_it(monkeypatch) -> None:
    assert not former_settings()
    Environment(dict.fromkeys(FORMER_NAMES, "x")).refuse_unknown()
    for name in FORMER_NAMES:
        monkeypatch.setenv(name, "x")
    warnings = former_settings()
    assert {warning.id for warning in warnings} == {"hub.W001"}
    for name, warning in zip(sorted(FORMER_NAMES), warnings, strict=True):
        assert name in warning.msg
        assert FORMER_NAMES[name] == warning.hint
    monkeypatch.setenv(name, "")
    assert len(former_settings()) == len(FORMER_NAMES) - 1, "an empty variable counts as unset"


def test_hubs_on_one_host_have_cookies_of_their_own() -> None:
    names = {}
    for url in ("https://example.org", "https://example.org/one", "https://example.org/two", "http://example.org:81"):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DOVETAIL_")}
        environment |= {"DOVETAIL_PUBLIC_URL": url, "DOVETAIL_SECRET_KEY": "x" * 50}
        ask = "from hub import settings; print(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)"
        root = Path(__file__).resolve().parents[1]
        done = subprocess.run([sys.executable, "-c", ask], cwd=root, env=environment, capture_output=True, text=True)
        names[url] = done.stdout.split()
    assert names["https://example.org"] == ["__Host-dovetail_0", "__Host-dovetail_0_csrf"]
    assert len({name for pair in names.values() for name in pair}) == 8, names
