"""A person's e-mail address: who proved it, and how it changes.

`User.email` and `User.email_verified` are what the hub reads. The rows of allauth (EmailAddress) say the
same, and hold an address that a person wants to change to until the letter to it is answered.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from registry.kernel import audit, outbox
from registry.kernel.errors import NameTaken, ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.texts import names
from registry.models import User

# Names of the constraints under which two people cannot have proven one address.
CONSTRAINTS = ("user_email_unique", "unique_verified_email", "account_emailaddress.email")


def check_email(email: str) -> str:
    """Return the address without spaces around it, or raise ValueInvalid unless it is empty or looks like one."""
    email = names.check_text(email, "e-mail address", 254)
    try:
        if email:
            validate_email(email)
    except ValidationError:
        raise ValueInvalid(f"{email!r} is not an e-mail address.", fix="Write it as name@example.org.") from None
    return email


def set_address(user: User, email: str, *, verified: bool, by: User | None) -> bool:
    """Replace the person's address; returns whether anything changed. Raises ValueInvalid, NameTaken.

    A proven address that is given up gets a letter, so that nobody takes an account over in silence.
    """
    email, before = check_email(email), user.email
    if (email, verified) == (before, user.email_verified):
        return False
    with addresses_are_unique(), transaction.atomic():
        User.objects.filter(pk=user.pk).update(email=email, email_verified=verified)
        store_row(user, email, verified=verified)
        audit.record(by, "person:email", user.username, about=user, before=before, after=email)
        if user.email_verified and before.lower() not in ("", email.lower()):
            change = "address" if email else "address-remove"
            outbox.record(
                Kind.ACCOUNT_CHANGED, None, person=user.pk, change=change, details=email, former_address=before
            )
    user.email, user.email_verified = email, verified
    return True


def confirm(user: User, email: str) -> None:
    """Note that the person proved an address by a link sent there; allauth has changed its row. Raises NameTaken."""
    with addresses_are_unique(), transaction.atomic():
        before = User.objects.select_for_update(no_key=True).get(pk=user.pk).email
        User.objects.filter(pk=user.pk).update(email=email, email_verified=True)
        audit.record(user, "person:email-confirm", user.username, about=user, before=before, after=email)
        if before.lower() not in ("", email.lower()):
            outbox.record(Kind.ACCOUNT_CHANGED, None, person=user.pk, change="address", details=email)
    user.email, user.email_verified = email, True


def store_row(user: User, email: str, *, verified: bool) -> None:
    """Make allauth's rows of this person say the same as the columns."""
    EmailAddress.objects.filter(user=user).delete()
    if email:
        EmailAddress.objects.create(user=user, email=email.lower(), verified=verified, primary=True)


@contextmanager
def addresses_are_unique() -> Iterator[None]:
    """Raise NameTaken where another person has proven the address."""
    try:
        yield
    except IntegrityError as error:
        if not any(name in str(error) for name in CONSTRAINTS):
            raise
        raise NameTaken("This e-mail address is already in use.", fix="Sign in with the other account.") from None
