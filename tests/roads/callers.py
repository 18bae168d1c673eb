"""Everybody who may ask: by the token of a program and by the session of a browser."""

from dataclasses import dataclass, field

from django.test import Client

from features.sso import identities
from registry.moderation import suspension
from registry.people.organizations.organizations import set_member
from tests.cast import Cast, person

# alice administers acme, bob writes there, dave contributes, erin reads; carol is a stranger; mona moderates; the robot
# works for acme; sue wrote in acme and is suspended, lea wrote there and has left.
WHO = ("alice", "bob", "robot", "erin", "dave", "carol", "nobody", "mona", "sue", "lea")


@dataclass
class Callers:
    """A program and a browser for each of WHO; a robot has no browser, and nobody neither token nor session."""

    programs: dict[str, Client] = field(default_factory=dict)
    browsers: dict[str, Client] = field(default_factory=dict)


def everybody(cast: Cast, repository: str) -> Callers:
    """Give everybody a token and a session, as long as nobody is suspended or gone."""
    for name in ("sue", "lea"):
        cast.people[name] = person(name)
        set_member(cast.acme, cast[name], "write", by=cast["alice"])
    tokens = {name: cast.token(name) for name in WHO if name not in {"robot", "nobody"}}
    tokens["robot"] = cast.robot(**{repository: "write"})
    callers = Callers()
    for name in WHO:
        callers.programs[name] = Client(headers={"authorization": f"Bearer {tokens[name]}"} if name in tokens else {})
        if name != "robot":
            callers.browsers[name] = Client()
        if name not in {"robot", "nobody"}:
            callers.browsers[name].force_login(cast[name])
    return callers


def end_two(cast: Cast) -> None:
    """Suspend sue, and report lea gone."""
    suspension.suspend(cast["sue"], cast.session("mona"), reason="Spam.")
    identities.leave(cast["lea"])
