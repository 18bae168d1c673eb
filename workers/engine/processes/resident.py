"""The resident: one jailed process that keeps the base on its device and takes adapter after adapter.

Where a device forbids forks, as CUDA does, it replaces the children of `stage`. It is forked and jailed before it opens
the device. The parent never uses the device, so it can fork another resident at any time. The resident's frames are
checked like a child's, and it exits at the first changed bit of the base.
"""

import gc
import json
import os
import random
import resource
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy
import torch

from dovetail.adapters.checks import opened
from dovetail.adapters.readers.folder import files_in
from workers.engine import jail, work_folders
from workers.engine.job import Job
from workers.engine.models import device
from workers.engine.models.frozen import Frozen
from workers.engine.models.restoration import Snapshot, same
from workers.engine.pace import WALL_SECONDS, Pace
from workers.engine.processes import child, stage
from workers.engine.processes.stage import Ending, Frame, Say

START_SECONDS = 100.0  # a device must wake up and take a base of many gigabytes
IDLE_SECONDS = 2  # of processor time, between two adapters
MAX_ADAPTERS = 1000
GROWTH_BYTES = 1 << 30  # beyond that a new process is started
NO_LIMIT = 1 << 62
REQUEST = "request.json"


def attach(job: Job, frozen: Frozen, task: str, labels: int, work: Path, say: Say) -> None:
    """Load an adapter and run it as the job says, with the same seeds in a child and in the resident."""
    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)
    run = import_module(job.module).load if job.module else child.loaded
    run(job, frozen, task, labels, work, say)


@dataclass(slots=True)
class Resident:
    """The parent's handle of the resident process; `prepare` starts a new process if the last one died."""

    frozen: Frozen
    device: torch.device
    readable: Sequence[Path]
    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="resident-")))
    pid: int = 0
    taken: int = 0
    _at_start: int = 0
    _room: int = 0
    _most: int = NO_LIMIT
    _ask: int = -1
    _hear: int = -1

    def start(self) -> None:
        """Start the process; return when the base is on the device. Raises `RuntimeError` if that fails."""
        self.stop()
        for name in ("inbox", "work"):
            (self.home / name).mkdir(exist_ok=True)
        requests, self._ask = os.pipe()
        self._hear, answers = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _live(self, requests, answers, parent)
        os.close(requests)
        os.close(answers)
        frames = list(self._frames(self._start_pace(), ()))
        if frames:
            raise RuntimeError(f"The base {self.frozen.id} cannot be moved to {self.device}: {frames}")
        self.taken, self._at_start = 0, self._mapped(1)

    def prepare(self, job: Job, task: str, labels: int, room: int) -> None:
        """Lay the files out and get the model of the task ready; that counts against no limit of the adapter.

        Raises `RuntimeError` if even a new process cannot, which is not the adapter's fault.
        """
        self._room = room
        self._lay_out(job, task, labels)
        if not (self._is_fit() and self._is_prepared()):
            self.start()
            if not self._is_prepared():
                raise RuntimeError(f"The model of {self.frozen.id} for {task} cannot be loaded on {self.device}.")
        self.taken += 1

    def run(self, job: Job, seconds: float, wall: float, believed: Collection[str]) -> Iterator[Frame | Ending]:
        """Yield the frames of the prepared adapter and the `Ending`, as `stage.run` does.

        `seconds` are of processor time, `wall` of the clock.
        """
        on_cpu = self.device.type == "cpu"
        # A device maps hundreds of gigabytes of addresses: there, the resident host memory is watched instead.
        self._limit(seconds, self._mapped(0) + job.memory_bytes if on_cpu else NO_LIMIT)
        self._most = NO_LIMIT if on_cpu else self._mapped(1) + job.memory_bytes
        pace, ending = Pace(self.pid, seconds, job.idle_seconds, wall), Ending()
        self._go()
        for item in self._frames(pace, believed):
            if isinstance(item, Ending):
                ending = item
            else:
                yield item
        self._most = NO_LIMIT
        if self.pid:
            self._limit(IDLE_SECONDS, NO_LIMIT)
        self._tidy()
        yield replace(ending, cpu_seconds=pace.used)

    def stop(self) -> None:
        """End the process, if it lives."""
        if self.pid:
            self._end(Ending(excess="idle"))

    def close(self) -> None:
        self.stop()
        work_folders.remove(self.home)

    def _start_pace(self) -> Pace:
        return Pace(self.pid, START_SECONDS, START_SECONDS, WALL_SECONDS)

    def _frames(self, pace: Pace, believed: Collection[str]) -> Iterator[Frame | Ending]:
        """Yield frames until the process says that it is done; an `Ending` if the process ended."""
        for item in stage.hear(self._hear, pace, believed, ("done", "changed"), self._watch):
            if isinstance(item, Ending):
                yield self._end(item)
            elif "done" in item:
                return
            elif "changed" in item:
                yield from self._changed(item["changed"])
                return
            else:
                yield item

    def _changed(self, names: Any) -> Iterator[Frame]:
        """End the process; without names, the checks allowed the change, so no adapter is blamed."""
        self._end(Ending())
        if names:
            yield {"changed": [str(name)[:200] for name in names[:20]] if isinstance(names, list) else []}

    def _is_fit(self) -> bool:
        """Return whether the process may take another adapter: it runs, and has not grown."""
        if not self.pid or self.taken >= MAX_ADAPTERS:
            return False
        state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state in "RSD" and self._mapped(1) <= self._at_start + GROWTH_BYTES

    def _is_prepared(self) -> bool:
        self._limit(START_SECONDS, NO_LIMIT)
        return self._go() and not any(isinstance(item, Ending) for item in self._frames(self._start_pace(), ()))

    def _end(self, heard: Ending) -> Ending:
        ended = stage.reap(self.pid, heard)
        os.close(self._ask)
        os.close(self._hear)
        self.pid = 0
        return ended

    def _go(self) -> bool:
        """Signal with one byte that the inbox is complete; return whether it was sent."""
        try:
            return os.write(self._ask, b".") == 1
        except BrokenPipeError:
            return False

    def _lay_out(self, job: Job, task: str, labels: int) -> None:
        """Link the files into the inbox: the folders that the process may read were fixed when it started."""
        inbox = self.home / "inbox"
        for path in files_in(job.folder):
            target = inbox / "files" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(job.folder / path, target)
            except OSError:  # another file system
                shutil.copyfile(job.folder / path, target)
        (inbox / "files").mkdir(exist_ok=True)
        document = replace(job, folder=inbox / "files").says()
        (inbox / REQUEST).write_text(json.dumps({"job": document, "task": task, "labels": labels}))

    def _tidy(self) -> None:
        for name in ("inbox", "work"):
            work_folders.empty(self.home / name)

    def _limit(self, seconds: float, memory_bytes: int) -> None:
        """Set the limits that the kernel enforces: CPU time from now on, address space, and file size."""
        ticks = sum(map(int, Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        cpu = int(ticks / os.sysconf("SC_CLK_TCK") + seconds) + 1
        for which, soft in (
            (resource.RLIMIT_CPU, cpu),
            (resource.RLIMIT_AS, memory_bytes),
            (resource.RLIMIT_FSIZE, max(self._room, 1 << 16)),
        ):
            hard = resource.prlimit(self.pid, which)[1]
            resource.prlimit(self.pid, which, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))

    def _mapped(self, column: int) -> int:
        """Return its virtual (0) or resident (1) memory in bytes (proc_pid_statm(5))."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[column]) * resource.getpagesize()

    def _watch(self) -> str:
        """Return the exceeded limit that the kernel cannot enforce (files, host memory beside a device), else ""."""
        if self._most < NO_LIMIT and self._mapped(1) > self._most:
            return stage.MEMORY
        return stage.FULL if work_folders.is_too_full(self.home / "work", stage.ROOM_FACTOR * self._room) else ""


# --- the process of the resident -------------------------------------------------------------------------------------
def _live(resident: Resident, requests: int, answers: int, parent: int) -> None:
    """Run the resident's process; never return, because the parent's code must not run in it."""
    status = 70
    try:
        jail.die_with_parent(parent)
        meter = os.open("/proc/self/clear_refs", os.O_WRONLY)
        stage.leave_all_but(requests, answers, meter)
        readable, files = device.paths(resident.device)
        jail.lock_down(
            resident.home / "work",
            [resident.home / "inbox", *resident.readable, *readable],
            memory_bytes=NO_LIMIT,
            cpu_seconds=int(START_SECONDS),
            file_bytes=1 << 16,
            devices=files,
            stays=True,
        )
        resident.frozen.move(resident.device)
        say = partial(stage.say, answers)
        say({"done": True})
        while os.read(requests, 1):
            _take(resident, requests, meter, say)
        status = 0
    except jail.JailUnavailable as problem:
        stage.say(answers, {"jail": str(problem)})
    finally:
        stage.end(status, partial(stage.say, answers))


def _take(resident: Resident, requests: int, meter: int, say: Say) -> None:
    """Take one adapter: get the model ready, load and run the adapter, remove it, and compare the base."""
    from workers.engine.checks import run

    frozen, inbox = resident.frozen, resident.home / "inbox"
    request = json.loads((inbox / REQUEST).read_text())
    job, task, labels = Job.parse(request["job"]), request["task"], request["labels"]
    model = frozen.model(task, labels)
    frozen.facts(task, labels)
    before, originals = Snapshot(model, frozen.config), frozen.originals(model)
    say({"done": True})
    os.read(requests, 1)
    os.write(meter, b"5")  # reset the peak memory, so that it is this adapter's (proc_pid_clear_refs(5))
    attach(job, frozen, task, labels, resident.home / "work", say)
    before.restore()
    gc.collect()
    if all(same(table[name], original) for (table, name, _), original in originals):
        say({"done": True})
        return
    say({"changed": run.not_allowed(opened(files_in(job.folder), job.card, place=job.place), originals)})
    os._exit(0)
