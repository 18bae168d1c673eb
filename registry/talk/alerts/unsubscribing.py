"""Links that end e-mails of some topics without a sign-in: signed, for one person, without an end."""

from collections.abc import Iterable

from django.core import signing

from registry.kernel.errors import NotAllowed
from registry.models import Topic, User
from registry.talk.alerts import topics

SALT = "registry.talk.unsubscribing"


def sign(user: User, stopped: Iterable[Topic]) -> str:
    """Return the part of a link that stands for this person and these topics."""
    return signing.dumps([user.pk, list(stopped)], salt=SALT)


def verify(signed: str) -> tuple[User, list[Topic]]:
    """Return the person and the topics that a link stands for. Raises NotAllowed."""
    try:
        number, names = signing.loads(signed, salt=SALT)
    except signing.BadSignature:
        raise _refusal() from None
    user = User.objects.filter(pk=number).first()
    if user is None:
        raise _refusal()
    return user, [Topic(name) for name in names if name in topics.OPTIONAL]


def unsubscribe(signed: str) -> tuple[User, list[Topic]]:
    """Keep alerts of the link's topics on the website alone; return what verify returns. Raises NotAllowed."""
    user, stopped = verify(signed)
    topics.stop_mail(user, stopped)
    return user, stopped


def _refusal() -> NotAllowed:
    return NotAllowed(
        "This link to unsubscribe is not complete.",
        fix="Copy it whole from the e-mail, or choose in your settings which e-mails you get.",
    )
