"""The settings of a hub whose tables are made from the models, in a moment."""

from hub.settings import *  # noqa: F403  # as Django's own settings for tests are written


class _None(dict[str, None]):
    """No application has migrations."""

    def __contains__(self, app: object) -> bool:
        return True

    def __getitem__(self, app: str) -> None:
        return None


MIGRATION_MODULES = _None()
# The machine that runs tests may be slow.
DATABASE_REPLICA_LAG = 600
DATABASES["replica-1"]["OPTIONS"]["pool"]["timeout"] = 20  # noqa: F405  # as above
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405  # as above
