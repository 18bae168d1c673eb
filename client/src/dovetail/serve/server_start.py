"""The start of each serving engine with one commit of an adapter.

No engine is given the name of a repository: which hub it would ask depends on its environment, most cannot name a
commit, and on another hub that name may be a stranger's. So the files are pulled first, by address and full commit, and
the engine gets their folder. The hub stores what an engine needs to know of the weights; the rest is added when it is
read, so it is right for verdicts of any age and after a move.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from dovetail.adapters.formats import formats
from dovetail.adapters.results.report import BasePin, Content, Report, Serving
from dovetail.adapters.serving.mlx import CONVERT

SHORT_OID = 7
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Target:
    """A commit of an adapter at one hub; `place` is its folder inside the repository, "" for the top.

    Without a commit it is the adapter in `folder` on this machine. `base_revision` counts only as a commit. A `part` is
    one of several adapters of the commit, with its folder in its name. `base_sha256` is the digest of the base's files.
    """

    adapter: str
    endpoint: str = ""
    revision: str = ""
    place: str = ""
    base: str = ""
    base_revision: str = ""
    base_sha256: str = ""
    folder: str = ""
    part: bool = False

    @property
    def short(self) -> str:
        short = self.adapter.rpartition("/")[2]
        return f"{short}-{self.place.replace('/', '-')}" if self.part else short

    @property
    def name(self) -> str:
        """The name under which an engine serves it: of one commit alone, so no other weights ever bear it."""
        return f"{self.short}@{self.revision[:SHORT_OID]}" if self.revision else self.short

    @property
    def file_name(self) -> str:
        """The same for names of files, and for engines that read `@` as the start of a revision."""
        return self.name.replace("@", "-")

    @property
    def download(self) -> str:
        """The folder into which its repository is downloaded, or its own folder on this machine."""
        return self.folder or f"./{replace(self, part=False).file_name}"

    @property
    def path(self) -> str:
        """The folder with adapter_config.json."""
        return f"{self.download}/{self.place}" if self.place else self.download

    @property
    def base_commit(self) -> str:
        return self.base_revision if COMMIT.fullmatch(self.base_revision) else ""

    @property
    def base_endpoint(self) -> str:
        """The hub that alone knows the base's commit, since it made it of the digest; "" where others know it too."""
        return self.endpoint if self.base_commit and self.base_sha256.startswith(self.base_commit) else ""

    def of_part(self, place: str) -> Target:
        """Return the target of one of several adapters in the same repository."""
        return replace(self, place=place, part=True)

    @classmethod
    def of_folder(cls, folder: str, base: str = "") -> Target:
        """Return the target of an adapter on this machine."""
        return cls(PurePosixPath(folder).name or "adapter", base=base, folder=folder)

    @classmethod
    def at_hub(cls, adapter: str, endpoint: str, revision: str, place: str, base: BasePin) -> Target:
        """Return the target of a commit at a hub, which was proven on this base."""
        return cls(adapter, endpoint, revision, place, base.id, base.revision or "", base.sha256 or "")

    @classmethod
    def of_verdict(cls, document: Mapping[str, Any], endpoint: str) -> Target:
        """Return the target that a hub's verdict is about."""
        base = {key: str(value or "") for key, value in (document.get("base") or {}).items()}
        pin = BasePin(base.get("id", ""), base.get("revision"), base.get("sha256"))
        place = str(document.get("path") or "")
        return cls.at_hub(str(document["adapter"]), endpoint, str(document["revision"]), place, pin)


# Options of stored verdicts that name a repository, a base or a folder: older ones hold them, and they are added again.
ADDRESSES = re.compile(
    r"(--lora-modules|--lora-paths|--lora-adapters|--model-id|--adapter-id|--model|--adapter-path)[ =]"
)
WEIGHT_NAME = re.compile(r"weight_name='([^'\\]+)'")
UNKNOWN_BASE = "BASE"


@dataclass(frozen=True, slots=True)
class Start:
    """`flags` are the engine's own options; `commands` are whole lines to run one after the other, the pull first."""

    flags: tuple[str, ...]
    commands: tuple[str, ...]


def pull(target: Target) -> str:
    """Return the command that downloads exactly this commit from this hub; "" for a folder on this machine."""
    if not target.revision:
        return ""
    pinned = shlex.quote(f"{target.adapter}@{target.revision}")
    return f"dovetail pull {pinned} --to {shlex.quote(target.download)} --endpoint {shlex.quote(target.endpoint)}"


def start(answer: Serving, target: Target) -> Start:
    """Return how an engine that serves the adapter is started with it; nothing for one that does not."""
    if answer.outcome != "serves":
        return Start((), ())
    options = _options(answer)
    lines_of = LINES.get(answer.engine)
    if lines_of is None:  # an engine that a newer hub knows, or a release of PEFT
        return Start(tuple(options), tuple(options))
    flags, lines = lines_of(options, target)
    return Start(tuple(flags), tuple(filter(None, (pull(target), *lines))))


def start_ollama(answer: Serving, target: Target) -> Start:
    """Return how Ollama is given an adapter that llama.cpp serves, by llama.cpp's answer.

    From release 0.30 on it runs every GGUF model with llama.cpp's server; its own engine before had no adapters.
    """
    ready = start(answer, target)
    if not ready.commands:
        return ready
    gguf = shlex.split(ready.flags[0])[1]
    near = "" if gguf.startswith(("/", "./")) else "./"
    lines = shlex.join([f"FROM ./{UNKNOWN_BASE}.gguf", f"ADAPTER {near}{gguf}"])
    model, file = shlex.quote(target.file_name.lower()), shlex.quote(f"{target.file_name}.Modelfile")
    deeds = (f"printf '%s\\n' {lines} > {file}", f"ollama create {model} -f {file}", f"ollama run {model}")
    return Start((), (*ready.commands[:-1], *deeds))


def _options(answer: Serving) -> list[str]:
    """Return the options of an engine that follow from the weights alone."""
    return [str(flag) for flag in answer.flags if not ADDRESSES.match(f"{flag} ")]


def completed(answers: Sequence[Serving], target: Target) -> tuple[Serving, ...]:
    """Return what a verdict says of serving engines, by rule or measured, with the flags and commands for a target."""
    starts = [start(answer, target) for answer in answers]
    return tuple(
        replace(answer, flags=list(begin.flags), commands=list(begin.commands), by=answer.by or "rule")
        for answer, begin in zip(answers, starts, strict=True)
    )


def completed_report(report: Report, target: Target) -> Report:
    """Return a report with the flags and commands for a target; of several adapters each has its own.

    Then the rows of the report itself keep the options that name no folder: nothing lies at the top.
    """
    if not has_parts(report):
        return replace(report, serving=completed(report.serving, target))
    return replace(
        report,
        serving=tuple(
            replace(answer, flags=_options(answer), commands=[], by=answer.by or "rule") for answer in report.serving
        ),
        contents=tuple(
            each if each.serving is None else replace(each, serving=completed(each.serving, part_of(each, target)))
            for each in report.contents
        ),
    )


def has_parts(report: Report) -> bool:
    """Return whether several adapters were proven, each with its own engines."""
    return any(each.serving is not None for each in report.contents)


def part_of(content: Content, target: Target) -> Target:
    """Return the target of one of several adapters; of weights without a config it is their folder."""
    return target.of_part(formats.folder_of(content.path))


# --- one engine each -------------------------------------------------------------------------------------------------

Options = Sequence[str]
Lines = tuple[list[str], list[str]]


def _base(option: str, target: Target, revision: str = "--revision") -> list[str]:
    """Return the options that name the base, pinned where its commit is known."""
    pin = [f"{revision} {target.base_commit}"] if revision and target.base_commit else []
    return [f"{option} {shlex.quote(target.base or UNKNOWN_BASE)}".strip(), *pin]


def _line(target: Target, *words: str) -> str:
    """Return a line that starts an engine, with the hub's address where the engine would not find the base without."""
    hub = [f"HF_ENDPOINT={shlex.quote(target.base_endpoint)}"] if target.base_endpoint else []
    return " ".join([*hub, *words])


def _vllm(options: Options, target: Target) -> Lines:
    flags = [*options, f"--lora-modules {shlex.quote(f'{target.name}={target.path}')}"]
    return flags, [_line(target, "vllm serve", *_base("", target), *flags)]


def _sglang(options: Options, target: Target) -> Lines:
    flags = [*options, f"--lora-paths {shlex.quote(f'{target.name}={target.path}')}"]
    return flags, [_line(target, "python -m sglang.launch_server", *_base("--model-path", target), *flags)]


def _lorax(options: Options, target: Target) -> Lines:
    flags = [
        *_base("--model-id", target),
        *options,
        "--adapter-source local",
        f"--adapter-id {shlex.quote(target.path)}",
    ]
    return flags, [_line(target, "lorax-launcher", *flags)]


def _tgi(options: Options, target: Target) -> Lines:
    # text-generation-inference reads what follows an @ as a revision, and what follows a comma as the next adapter.
    flags = [
        *_base("--model-id", target),
        *options,
        f"--lora-adapters {shlex.quote(f'{target.file_name}={target.path}')}",
    ]
    return flags, [_line(target, "text-generation-launcher", *flags)]


def _llama_cpp(options: Options, target: Target) -> Lines:
    # Only an adapter that is GGUF already has the option alone; older verdicts have it after a conversion.
    ready = options[0].removeprefix("--lora ") if options and options[0].startswith("--lora ") else ""
    gguf = f"{target.path}/{ready}" if ready else f"{target.file_name}.gguf"
    convert = f"python convert_lora_to_gguf.py {shlex.quote(target.path)} --outfile {shlex.quote(gguf)}"
    flags = [f"--lora {shlex.quote(gguf)}"]
    return flags, ["" if ready else convert, " ".join(["llama-server", f"-m {UNKNOWN_BASE}.gguf", *flags])]


def _mlx(options: Options, target: Target) -> Lines:
    others = [option for option in options if option != CONVERT]
    folder = f"{target.path}-mlx" if CONVERT in options else target.path
    convert = f"{CONVERT} {shlex.quote(target.path)} --out {shlex.quote(folder)}" if CONVERT in options else ""
    flags = [*_base("--model", target, revision=""), *others, f"--adapter-path {shlex.quote(folder)}"]
    return flags, [convert, " ".join(["mlx_lm.server", *flags])]


def _diffusers(options: Options, target: Target) -> Lines:
    weights = WEIGHT_NAME.search(" ".join(options))
    argument = f", weight_name={weights[1]!r}" if weights else ""
    call = f"pipe.load_lora_weights({target.path!r}{argument}, adapter_name={target.file_name!r})"
    return [call], [call]


LINES: dict[str, Callable[[Options, Target], Lines]] = {
    "vllm": _vllm,
    "sglang": _sglang,
    "lorax": _lorax,
    "tgi": _tgi,
    "llama.cpp": _llama_cpp,
    "mlx": _mlx,
    "diffusers": _diffusers,
}
