"""Links that workers write, of a hub that is mounted below a path."""

from threading import Thread

from django.urls import reverse

from hub.celery import app
from registry.kernel.texts.phrases import absolute


def link() -> str:
    return absolute(reverse("tokens"))


def test_a_task_in_any_thread_links_below_the_path(settings):
    settings.FORCE_SCRIPT_NAME, settings.PUBLIC_URL = "/hub", "https://example.org/hub"
    task = app.task(link, name="tests.link", shared=False)
    links: list[str] = []
    # The worker for errands runs mails and the outbox in threads.
    thread = Thread(target=lambda: links.append(task.apply().get()))
    thread.start()
    thread.join()
    app.tasks.pop(task.name)
    assert links == ["https://example.org/hub/settings/tokens"]
