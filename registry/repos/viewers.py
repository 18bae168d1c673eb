"""The reader and their address: decides whether `main` means the version pushed last, or the one verified last."""

from dataclasses import dataclass

from registry.kernel import site_settings
from registry.kernel.policy import NOBODY, Caller
from registry.models import Repository


@dataclass(frozen=True, slots=True)
class Viewer:
    """A caller, and whether they read below /verified, where `main` is the newest version that passed."""

    by: Caller = NOBODY
    only_verified: bool = False

    def prefers_verified(self, repository: Repository) -> bool:
        """Return whether main of the repository means `verified` for this reader.

        Under the pull policy `verified` it does for everybody who is not of the house, so that one bad push does not
        end what others serve.
        """
        if repository.type != Repository.Type.MODEL:
            return False
        if self.only_verified:
            return True
        is_strict = site_settings.get_setting("pull_policy") == "verified"
        return is_strict and not (self.by.is_staff or self.by.role_in(repository))
