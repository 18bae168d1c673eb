"""The part of the queue's benchmark that runs inside a hub: `python -m bench.queued fill`, `wait` or `claims`."""

import statistics
import sys
import time

import django

django.setup()

from bench import minilm
from bench.queue import BASES, NUMBER
from registry.kernel.policy import Caller
from registry.models import Verdict
from registry.people import accounts
from registry.proof.verdicts import jobs, queue
from registry.publish import push, repositories
from registry.repos.refs import MAIN
from tests import adapters as builders
from workers import base_cache


def _fill() -> None:
    """Put the bases into the base cache, and push adapters of two owners, bases in turn."""
    model, ids = minilm.folder(), [f"bench/base-{number}" for number in range(BASES)]
    for base in ids:
        base_cache.add_folder(base, model, source="a benchmark", tell=lambda line: None)
    names = ("ann", "ben")
    users = [
        accounts.create_person(name, email=f"{name}@example.org", password="benchmark of a queue") for name in names
    ]
    for number in range(NUMBER):
        owner = Caller(user=users[number % 2])
        repository = repositories.create(f"{names[number % 2]}/a{number}", owner, private=False)
        with_base = builders.config(base_model_name_or_path=ids[number % BASES])
        files = with_base(builders.without(builders.CARD)(builders.lora(builders.MINILM, seed=number)))
        operations = [push.Inline(path, content) for path, content in files.items()]
        push.receive(push.Intent(repository, MAIN, owner, "push"), operations)


def _wait() -> None:
    """Wait until all are decided; print wall, sum of run times, median run time in seconds, and how many passed."""
    while Verdict.objects.filter(finished_at__isnull=True).exists():
        time.sleep(0.5)
    rows = list(Verdict.objects.order_by("started_at").values_list("started_at", "finished_at", "duration_ms", "state"))
    runs = [row[2] / 1000 for row in rows if row[2] is not None]
    wall = max(row[1] for row in rows if row[1]) - min(row[0] for row in rows if row[0])
    print(wall.total_seconds(), sum(runs), statistics.median(runs), sum(row[3] == "passed" for row in rows))


def _claims() -> None:
    """Print the CPU milliseconds of a claim, with 10 waiting rows and with 10,000."""
    row = Verdict.objects.select_related("revision__repository")[0]
    base = row.base.lower()
    able = queue.Capabilities(frozenset({base}), frozenset(), ())
    for waiting in (10, 10_000):
        Verdict.objects.filter(turn__isnull=False).delete()
        owner = row.revision.repository.namespace_id
        Verdict.objects.bulk_create(
            Verdict(revision=row.revision, number=1000 + waiting + n, base=row.base, route=base, owner_id=owner, turn=n)
            for n in range(waiting)
        )
        taken = []
        for _ in range(9):
            began = time.thread_time()
            jobs.claim_next("bench", able, warm=[base], stay=True)
            taken.append(1000 * (time.thread_time() - began))
        print(statistics.median(taken))


if __name__ == "__main__":
    {"fill": _fill, "wait": _wait, "claims": _claims}[sys.argv[1]]()
