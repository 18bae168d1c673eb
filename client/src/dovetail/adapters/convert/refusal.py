"""The refusal of a conversion or a merge."""


class Unconvertible(ValueError):
    """The result would not be the same adapter; the message names the module and says why."""

    def __init__(self, reason: str, module: str = "") -> None:
        super().__init__(f"{module[:200]}: {reason}" if module else reason)
        self.module = module[:200]
