"""Pictures of people: decoded, cut to a square and encoded again, so that nothing of the sent file is kept."""

import io
import struct
import warnings

from django.db import transaction
from django.utils import timezone

from registry.kernel import audit
from registry.kernel.errors import ValueInvalid
from registry.models import Avatar, User

MAX_BYTES = 2 << 20
MAX_PIXELS = 16_000_000
SIDE = 256
FORMATS = ("PNG", "JPEG", "WEBP")
# What Pillow raises for broken files, and for crafted metadata.
BROKEN = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, struct.error,
)  # fmt: skip


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
        raise ValueInvalid("This file is no picture that can be read.", fix="Use a PNG, JPEG or WebP.") from None
    encoded = io.BytesIO()
    square.save(encoded, "WEBP", quality=85)
    return encoded.getvalue()
