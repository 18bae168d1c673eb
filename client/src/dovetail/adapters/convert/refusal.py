"""The refusal of a conversion or a merge."""


class Unconvertible(ValueError):
    """The result would not be the same adapter; the message names the module and says why.

    `option` names the part of the request that cannot be, where it is the request and not the adapter.
    """

    def __init__(self, reason: str, module: str = "", option: str = "") -> None:
        super().__init__(f"{module[:200]}: {reason}" if module else reason)
        self.reason, self.module, self.option = reason, module[:200], option
