"""The reason and the note that every act of a moderator carries."""

from registry.kernel.errors import ValueInvalid
from registry.kernel.texts import names

MAX_REASON = 500
MAX_NOTE = 10_000


def check_reason(reason: str) -> str:
    """Return the reason without spaces around it; raises ValueInvalid when there is none."""
    reason = names.check_text(reason, "reason", MAX_REASON)
    if not reason:
        raise ValueInvalid("A reason is needed.", fix="Say in a sentence why; the owners and the log will show it.")
    return reason
