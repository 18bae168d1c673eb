"""The switches of the operator: uploads off, the whole hub read-only, no new repositories."""

from registry.kernel.errors import HubReadOnly, NewRepositoriesOff, UploadsOff
from registry.kernel.site_settings import get_setting


def require_writable() -> None:
    """Raise HubReadOnly while the hub takes no writes."""
    if get_setting("read_only") == "on":
        raise HubReadOnly("This hub is read-only for now: nothing was changed.")


def require_uploads() -> None:
    """Raise UploadsOff while the hub takes no files, and HubReadOnly while it takes no writes."""
    require_writable()
    if get_setting("uploads") == "off":
        raise UploadsOff("This hub takes no uploads for now: nothing was changed.")


def require_new_repositories() -> None:
    """Raise NewRepositoriesOff while nobody may create repositories here."""
    if get_setting("new_repositories") == "off":
        raise NewRepositoriesOff("This hub takes no new repositories for now.")
