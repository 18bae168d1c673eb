"""Sign-ins in the audit log: each good one, and bad ones with their count."""

from registry.kernel import audit
from registry.models import User

EACH_UP_TO = 5


def record(user: User, methods: list[str]) -> None:
    """Log that a person signed in, and with what."""
    audit.record(user, "account:sign-in", user.username, about=user, after=methods)


def record_failure(name: str, *, count: int, from_address: int) -> None:
    """Log wrong credentials for a name: `count` of them today, `from_address` of them by this address.

    Each of the first few has a row, then every doubling: thousands of guesses must not become thousands of rows. Names
    that nobody has are counted by address alone, because a guesser can invent any number of them.
    """
    user = User.objects.filter(username__lower=name.lower()).first()
    number = count if user else from_address
    if number <= EACH_UP_TO or number & (number - 1) == 0:
        name = user.username if user else "(nobody)"
        counts = {"wrong_today": count, "by_this_address": from_address}
        audit.record(None, "account:sign-in-failed", name, about=user, after=counts)
