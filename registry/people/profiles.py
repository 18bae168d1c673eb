"""A person's e-mail address: who proved it, and how it changes; and their picture.

`User.email` and `User.email_verified` are what the hub reads. The rows of allauth (EmailAddress) say the same, and
hold an address that a person wants to change to until the letter to it is answered. Pictures are decoded, cut to a
square and encoded again, so that nothing of the sent file is kept.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.kernel import audit, outbox
from registry.kernel.errors import NameTaken, ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.texts import names
from registry.models import Avatar, User

# Names of the constraints under which two people cannot have proven one address.
CONSTRAINTS = ("user_email_unique", "unique_verified_email", "account_emailaddress.email")


def check_email(email: str) -> str:
    """Return the address without spaces around it, or raise ValueInvalid unless it is empty or looks like one."""
    email = names.check_text(email, "e-mail address", 254, "email")
    try:
        if email:
            validate_email(email)
    except ValidationError:
        raise ValueInvalid(f"{email!r} is not an e-mail address.", "Write it as name@example.org.", "email") from None
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
        raise NameTaken("This e-mail address is already in use.", "Sign in with the other account.", "email") from None


MAX_BYTES = 2 << 20
MAX_PIXELS = 16_000_000
SIDE = 256
FORMATS = ("PNG", "JPEG", "WEBP")
# Exceptions that Pillow raises for broken files, and for crafted metadata.
BROKEN = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
    struct.error,
)


def set_avatar(user: User, picture: bytes) -> None:
    """Replace the person's picture. Raises ValueInvalid for what is no picture, or too large."""
    webp = encode(picture)
    with transaction.atomic():
        Avatar.objects.update_or_create(user=user, defaults={"webp": webp})
        User.objects.filter(pk=user.pk).update(pictured_at=timezone.now())
        audit.record(user, "person:avatar", user.username, about=user, after=len(webp))


def remove_avatar(user: User) -> None:
    """Delete the person's picture; a no-op without one."""
    with transaction.atomic():
        if Avatar.objects.filter(user=user).delete()[0]:
            User.objects.filter(pk=user.pk).update(pictured_at=None)
            audit.record(user, "person:avatar", user.username, about=user, after=None)


def encode(picture: bytes) -> bytes:
    """Return a picture as a square WebP. Raises ValueInvalid."""
    from PIL import Image, ImageOps  # noqa: PLC0415  # 10 MB, which most processes never need

    if len(picture) > MAX_BYTES:
        raise ValueInvalid("The picture is larger than 2 MB.", fix="Make it smaller.")
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(picture), formats=FORMATS) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if image.width * image.height > MAX_PIXELS:
                raise ValueInvalid("The picture has more than 16 million pixels.", fix="Make it smaller.")
            image.draft("RGB", (SIDE * 2, SIDE * 2))  # a JPEG is decoded no larger than needed
            square = ImageOps.fit(ImageOps.exif_transpose(image).convert("RGBA"), (SIDE, SIDE))
    except (*BROKEN, Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ValueInvalid("This file is not a readable picture.", fix="Use a PNG, JPEG or WebP.") from None
    encoded = io.BytesIO()
    square.save(encoded, "WEBP", quality=85)
    return encoded.getvalue()
