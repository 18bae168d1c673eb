"""hub.settings of the next release."""

from hub.about import SERVES_FROM as BEFORE
from hub.settings import *  # noqa: F403  # these are the settings
from hub.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.upgrade.next_release"]
MIGRATION_MODULES = {"registry": "tests.upgrade.next_migrations"}
RELEASE, SERVES_FROM = "99.0", BEFORE
