"""`make drill`: provoke alarms one after the other; exit 1 if one is missing or one is too much."""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ops.sentences import Stop, complain, say, say_for_now
from ops.supervisor import StopAsked, listen_for_stop
from tests.drill.prometheus import FACTOR, Prometheus, alarms, run_prometheus
from tests.drill.provocations import PROVOCATIONS
from tests.drill.stage import METRICS_TOKEN, Stage, set_up

PATIENCE_SECONDS = 420  # for an alarm to sound, and for it to end
LOOK_SECONDS = 1
FIRING = "firing"


@dataclass
class Drill:
    """The result of one provocation; a time is None if the alarm did not sound, or did not end."""

    alarm: str
    sounded: float | None = None
    ended: float | None = None
    strays: set[str] = field(default_factory=set)  # alarms that sounded and should not

    @property
    def is_well(self) -> bool:
        return self.sounded is not None and self.ended is not None and not self.strays


def drill(alarm: str, stage: Stage, prometheus: Prometheus) -> Drill:
    """Provoke an alarm, wait until it sounds, mend the cause, and wait until every alarm has ended."""
    provocation, result = PROVOCATIONS[alarm], Drill(alarm)
    heard: set[str] = set()

    def wait(what: str, ended: Callable[[Mapping[str, str]], bool]) -> float | None:
        began = time.monotonic()
        while (seconds := time.monotonic() - began) < PATIENCE_SECONDS:
            states = prometheus.states()
            heard.update(name for name, state in states.items() if state == FIRING)
            if ended(states):
                return round(seconds)
            told = ", ".join(f"{name} {state}" for name, state in states.items()) or "no alarm"
            say_for_now(f"{alarm}: {what}, {seconds:.0f} s … {told}")
            time.sleep(LOOK_SECONDS)
        return None

    wait("waiting until no other alarm is pending", lambda states: not states)
    before = frozenset(name for name, state in prometheus.states().items() if state == FIRING)
    heard.clear()
    say_for_now(f"{alarm}: {provocation.says} …")
    with provocation.cause(stage):
        result.sounded = wait(provocation.says, lambda states: states.get(alarm) == FIRING)
    result.ended = wait("mended", lambda states: states.get(alarm) != FIRING)
    result.strays = heard - provocation.also - before - {alarm}
    say_for_now("")
    return result


def chosen(arguments: Sequence[str]) -> list[str]:
    """Return the alarms that these arguments name, all without arguments. Raises Stop."""
    known = list(alarms())
    if wrong := [name for name in arguments if name not in known]:
        raise Stop(f"No alarm is called {' or '.join(wrong)}. -h lists them.")
    names = [name for name in known if not arguments or name in arguments]
    if "DovetailDiskFull" in names and os.geteuid():
        raise Stop("DovetailDiskFull mounts a small disk: run this as root, or name the other alarms.")
    if not shutil.which("prometheus"):
        raise Stop("Prometheus is not installed: `apt-get install prometheus` on Debian, or put it on the PATH.")
    return names


def run(names: Sequence[str]) -> list[Drill]:
    """Run the drills of these alarms on one deployment, a line each."""
    say(f"Starting a hub in the shape of production, and Prometheus with times divided by {FACTOR} …")
    results = []
    with set_up() as stage:
        folder = stage.deployment.folder / "prometheus"
        folder.mkdir()
        targets = [f"127.0.0.1:{port}" for port in stage.deployment.webs]
        with run_prometheus(folder, targets, METRICS_TOKEN) as prometheus:
            say("| alarm | provoked by | seconds until it sounds | until it ends |\n|---|---|---|---|")
            for name in names:
                result = drill(name, stage, prometheus)
                results.append(result)
                sounded = "never" if result.sounded is None else f"{result.sounded:.0f}"
                ended = "never" if result.ended is None else f"{result.ended:.0f}"
                say(f"| {name} | {PROVOCATIONS[name].says} | {sounded} | {ended} |")
                for stray in sorted(result.strays):
                    say(f"{stray} sounded too, and should not.")
    return results


def main() -> int:
    """Return the exit status: 1 if a drill went wrong, 2 for wrong arguments."""
    listed = "\n".join(f"  {name:26} {provocation.says}" for name, provocation in PROVOCATIONS.items())
    parser = argparse.ArgumentParser(
        prog="make drill", description=f"Some of:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("alarms", nargs="*", metavar="ALARM", help="its name; all if missing")
    try:
        names = chosen(parser.parse_args().alarms)
    except Stop as problem:
        complain(str(problem))
        return 2
    listen_for_stop()  # what was provoked is mended also after SIGTERM
    wrong = [result.alarm for result in run(names) if not result.is_well]
    say(f"Not as it should be: {', '.join(wrong)}." if wrong else f"{len(names)} alarms sounded and ended.")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StopAsked as stop:
        sys.exit(f"Stopped by {stop}.")
