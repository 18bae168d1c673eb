"""The people of the tests: alice owns, bob writes in her organisation acme, dave contributes there, erin reads there.

carol is a stranger, mona moderates, ada administers. Adapters have a first revision; pushes are other tests' business.
"""

import pickle
import time
from dataclasses import dataclass

from django.test import Client

from registry.kernel.policy import NOBODY, Caller
from registry.models import Discussion, Organization, Repository, Token, User
from registry.people import accounts
from registry.people.organizations import organizations
from registry.people.tokens import tokens
from registry.publish import repositories

PASSWORD = "correct horse battery"
PROOFS, PROVER = "account_authentication_methods", "account_authentication_methods_user"  # as allauth names them
ROLES = {"alice": "admin", "bob": "write", "dave": "contributor", "erin": "read"}  # in acme
STAFF = {"mona": "moderator", "ada": "admin"}
NAMES = ("alice", "bob", "carol", "dave", "erin", "mona", "ada")


def person(name: str, *, role: str = "user") -> User:
    """Make somebody who can sign in with PASSWORD."""
    return accounts.create_person(
        name, email=f"{name}@example.org", password=PASSWORD, full_name=name.capitalize(), role=role
    )


def signed_in(client: Client, user: User, *, second_factor: bool = False) -> Client:
    """Return a browser in which the person has just entered the password; `force_login` tells nothing of how."""
    client.force_login(user)
    session = client.session
    methods = ["password", *(["mfa"] if second_factor else [])]
    session[PROOFS], session[PROVER] = [{"method": method, "at": time.time()} for method in methods], str(user.pk)
    session.save()
    return client


@dataclass
class Cast:
    """The people by name, their organisation acme, and how each may ask."""

    people: dict[str, User]
    acme: Organization
    _read: bytes = b""

    def __getitem__(self, name: str) -> User:
        return self.people[name]

    def session(self, name: str) -> Caller:
        """Somebody signed in on the website; `anonymous` is nobody."""
        return NOBODY if name == "anonymous" else Caller(user=User.objects.get(username=name))

    def token(self, name: str, role: str = "write", **grants: str) -> str:
        """Make a token and return its value; grants are written namespace__name="read"."""
        repos = {full_name.replace("__", "/"): right for full_name, right in grants.items()}
        count = Token.objects.count()
        return tokens.create_token(self.people[name], f"{role} {count}", role, grants=repos)

    def robot(self, **grants: str) -> str:
        """Make acme+deploy, a machine that works for acme, with a token, and return the token's value."""
        robot = accounts.create_machine("acme+deploy", User.Kind.ROBOT, self.acme.namespace)
        repos = {full_name.replace("__", "/"): right for full_name, right in grants.items()}
        return tokens.create_token(robot, "ci", "fine-grained", grants=repos)

    def repository(
        self, full_name: str, *, by: str = "alice", private: bool = False, type: str = "model"
    ) -> Repository:
        """Make an empty adapter."""
        return repositories.create(full_name, self.session(by), private=private, type=type)

    def thread(self, repository: Repository, who: str, **comments: str) -> Discussion:
        """Make the rows of a discussion, and of a comment of each name."""
        made = Discussion.objects.create(repository=repository, number=1, title="Hello", author=self[who])
        for name, text in comments.items():
            made.events.create(author=self[name], kind="comment", text=text)
        return made

    def again(self) -> "Cast":
        """Return the same people as rows of their own, as they were in the database when this was asked first."""
        if not self._read:
            people = User.objects.select_related("namespace").in_bulk(list(self.people), field_name="username")
            acme = Organization.objects.select_related("namespace").get(pk=self.acme.pk)
            self._read = pickle.dumps(({name: people[name] for name in self.people}, acme))
        return Cast(*pickle.loads(self._read))


def assemble() -> Cast:
    """Make everybody."""
    cast = {name: person(name, role=STAFF.get(name, "user")) for name in NAMES}
    acme = organizations.create_organization("acme", by=cast["alice"], full_name="Acme")
    for name, role in ROLES.items():
        organizations.set_member(acme, cast[name], role, by=cast["alice"])
    return Cast(cast, acme)
