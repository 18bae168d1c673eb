"""The WSGI entry that gunicorn loads."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import reverse
from django.utils.translation import override

from hub.environment import bind_statements
from hub.server.request_bodies import announcing_close

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
for database in settings.DATABASES.values():  # before the first connection
    bind_statements(database)
django = get_wsgi_application()
application = announcing_close(django)
import_module("hub.celery").only_send()  # and 0.4 s that the first push would pay otherwise
# The first requests would load these, in each process for itself: the store's driver, texts, the table of addresses.
import_module("registry.bytes.blobs").load_driver()
for language, _ in settings.LANGUAGES:
    with override(language):
        reverse("login")
