"""The visitor who tries an adapter: a person, or a stranger who is counted by the network."""

from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from hub.origin import network_of
from registry.kernel.policy import Caller
from registry.proof.tryouts import Asker


def asker_of(request: HttpRequest, by: Caller) -> Asker:
    """Return the visitor; of a stranger's network only a keyed hash is kept, and for an hour."""
    if by.user is not None:
        return Asker(by)
    return Asker(by, salted_hmac("tryout", network_of(request), algorithm="sha256").hexdigest())
