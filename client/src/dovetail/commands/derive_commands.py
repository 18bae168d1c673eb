"""The commands that make other forms of an adapter: convert, combine, and derive on a hub."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from dovetail import ids
from dovetail.commands.arguments import Options
from dovetail.commands.printer import Printer
from dovetail.problems import DONE, REFUTED, UNREACHABLE, Problem, usage

To = Annotated[
    str,
    typer.Option(
        metavar="FORMAT", help="peft, kohya, diffusers, mlx, gguf; safetensors, bin; fp16, bf16; slim; peft-lora."
    ),
]
Method = Annotated[str, typer.Option(metavar="METHOD", help="linear, cat, svd, ties, dare_linear or dare_ties.")]
Density = Annotated[float, typer.Option(metavar="SHARE", help="ties, dare: the share of values to keep.")]
Rank = Annotated[
    int,
    typer.Option(
        metavar="RANK",
        help="svd, peft-lora and LyCORIS: the rank of the result. Default of svd: the largest.",
        show_default=False,
    ),
]
Head = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="For trained heads: the adapter whose head to keep, or `average` if their labels are the same.",
    ),
]
Seed = Annotated[int, typer.Option(metavar="NUMBER", help="dare: the seed that chooses the dropped values.")]


Alpha = Annotated[
    float | None,
    typer.Option(metavar="NUMBER", help="loralib: its alpha. Default: lora_alpha of the card.", show_default=False),
]
EnableLora = Annotated[
    str,
    typer.Option(
        metavar="true,false,…", help="loralib: the parts of merged linears that it adapts. Default: those of the card."
    ),
]


def convert(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder with the adapter.")],
    to: To,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write; it must not exist.")],
    base: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The folder of the base: gguf reads its config, slim and peft-lora its weights."
        ),
    ] = None,
    base_name: Annotated[
        str, typer.Option(metavar="NS/NAME", help="The base to name, if the adapter names none.")
    ] = "",
    alpha: Alpha = None,
    enable_lora: EnableLora = "",
    rank: Rank = 0,
) -> None:
    """Write an adapter in another format, without loss or not at all, or in another precision or rank."""
    from dovetail.api import conversions  # noqa: PLC0415  # no other command needs the format library

    options: Options = context.obj
    caller = options.client() if to == "gguf" and base is None else None
    asked = {"alpha": alpha, "enable_lora": enable_lora, "rank": rank}
    told = conversions.convert_folder(path, to, out, base=base, base_name=base_name, caller=caller, asked=asked)
    _tell(options.printer, out, told)


def combine(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="The folders of the adapters, two or more.")],
    method: Method = "linear",
    weights: Annotated[str, typer.Option(metavar="W,W…", help="One per adapter. Default: 1.")] = "",
    density: Density = 1.0,
    rank: Rank = 0,
    seed: Seed = 0,
    head: Head = "",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder to write; it must not exist.")] = None,
    push: Annotated[str, typer.Option(metavar="NS/NAME", help="The adapter to push the result to.")] = "",
) -> None:
    """Merge adapters of one base into one, as PEFT's add_weighted_adapter does it."""
    from dovetail.adapters.merge import Recipe  # noqa: PLC0415  # as above
    from dovetail.api import conversions  # noqa: PLC0415  # as above

    options: Options = context.obj
    if bool(out) == bool(push):
        raise usage("A merge is written to a folder or pushed.", "Add --out DIR or --push NS/NAME.")
    recipe = Recipe(method, density, rank, seed)
    if out:
        _tell(options.printer, out, conversions.merge_folders(paths, _numbers(weights), recipe, out, head))
        return
    ids.check_adapter(push)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "merged"
        conversions.merge_folders(paths, _numbers(weights), recipe, made, head)
        pushed = options.client().push(made, push, message=f"Merge {len(paths)} adapters by {method}")
    if options.printer.as_json:
        options.printer.document({"adapter": pushed.adapter, "revision": pushed.revision, "url": pushed.url})
    else:
        options.printer.line(pushed.revision)


def derive(
    context: typer.Context,
    adapter: Annotated[str, typer.Argument(metavar="NS/NAME[@REV]", help="The version to derive from.")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="As in `dovetail convert`.")] = "",
    method: Annotated[str, typer.Option(metavar="METHOD", help="For a merge, as in `dovetail combine`.")] = "",
    others: Annotated[
        list[str] | None, typer.Option("--with", metavar="NS/NAME[@REV][:WEIGHT]", help="Another adapter of the merge.")
    ] = None,
    weight: Annotated[float, typer.Option(metavar="WEIGHT", help="The weight of this version in the merge.")] = 1.0,
    density: Density = 1.0,
    rank: Rank = 0,
    seed: Seed = 0,
    head: Head = "",
    alpha: Alpha = None,
    enable_lora: EnableLora = "",
    into: Annotated[str, typer.Option(metavar="NS/NAME", help="The adapter whose next version the result is.")] = "",
    is_waited_for: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done.")] = True,
) -> None:
    """Have the hub convert a version or merge several; exit 1 if their files do not allow it."""
    from dovetail.api import conversions  # noqa: PLC0415  # as above

    options: Options = context.obj
    if bool(to) == bool(method):
        raise usage("A derived version needs a format or a method.", "Add --to FORMAT, or --method, --with and --into.")
    name, revision = ids.split(adapter)
    wish = {
        "to": to, "method": method, "weight": weight, "density": density, "rank": rank, "seed": seed, "head": head,
        "alpha": alpha, "enable_lora": enable_lora, "into": into, "others": [_other(text) for text in others or []],
    }  # fmt: skip
    ask, caller = conversions.wait if is_waited_for else conversions.derive, options.client()
    try:
        answer = ask(caller, name, revision, wish)
    except Problem as problem:
        if into and problem.code == "adapter-not-found" and f"'{into}'" in problem.detail:
            problem.fix = f"Create it first, at {caller.endpoint}/new or by a push, or check its spelling."
        raise
    _answer(options.printer, answer)


def _answer(printer: Printer, answer: Any) -> None:
    """Print where the result is, and exit with the status of its state."""
    if printer.as_json:
        printer.document(answer)
    elif answer["state"] == "done":
        printer.line(f"{answer['adapter']}@{answer['revision']}")
        printer.note(f"It is on {answer['ref'].removeprefix('refs/heads/')}, and gets its own verdict.")
    elif answer["state"] in ("refused", "errored"):
        printer.line(f"{answer['state']}: {answer['reason']}")
    else:
        printer.line(answer["state"])
    raise typer.Exit({"refused": REFUTED, "errored": UNREACHABLE}.get(answer["state"], DONE))


def _tell(printer: Printer, out: Path, told: Mapping[str, Any]) -> None:
    printer.answer({**told, "path": str(out)}, str(out))
    if "lost" in told:
        share = told["largest_error"] / told["largest_value"] if told["largest_value"] else 0.0
        printer.note(f"It loses {told['lost']:.2%} of the adapter's change, most in {told['tensor']}: {share:.2%}.")
    elif not told["lossless"]:
        share = told["largest_error"] / told["largest_value"] if told["largest_value"] else 0.0
        error = f"{told['largest_error']:.3g} in {told['tensor']}"
        printer.note(f"The largest error is {error}, {share:.2%} of the largest value there.")


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise usage(f"{text!r} is not a list of numbers.", "Write: --weights 0.7,0.3") from None


def _other(text: str) -> dict[str, object]:
    version, _, weight = text.rpartition(":") if ":" in text else (text, "", "1")
    name, revision = ids.split(version)
    try:
        return {"adapter": name, "revision": revision, "weight": float(weight)}
    except ValueError:
        raise usage(f"{text!r} does not end in a weight.", "Write: --with ns/name@v1:0.3") from None
