"""The command `dovetail try`: what a base and an adapter make of a text of one's own."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dovetail.adapters.results.tryout import Answer, Share, Side
from dovetail.base import ids
from dovetail.terminal.arguments import AdapterAt
from dovetail.terminal.options import Options
from dovetail.terminal.printer import Printer


def try_(
    context: typer.Context,
    adapter: AdapterAt,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text; of a question, the question. -: read it.")],
    other: Annotated[
        str, typer.Option("--other", metavar="TEXT", help="The second text: to compare, or that a question is about.")
    ] = "",
    tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Tokens that a model for generation writes.")] = 32,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", min=0, help="Exit 6 without an answer.")] = None,
) -> None:
    """Have a hub answer a text with an adapter and with its base, side by side."""
    options: Options = context.obj
    ids.split(adapter)
    given = sys.stdin.read() if text == "-" else text
    with options.printer.waiting(f"waiting for the answer of {adapter}"):
        tried = options.client().try_text(adapter, given, other, tokens=tokens, timeout=timeout)
    if options.printer.as_json:
        options.printer.document(tried)
    else:
        _print(options.printer, Answer.read(tried.answer or {}), given)


def _print(printer: Printer, answer: Answer, text: str) -> None:
    """Print what belongs to the task, one line for a label, a mark, a text or a number."""
    sides = {"base": answer.base, "adapter": answer.adapter}
    if answer.base.labels or answer.adapter.labels:
        printer.rows(("label", *sides), _labels(answer.base.labels, answer.adapter.labels))
    for name, side in sides.items():
        for mark in side.marks:
            printer.line(f"{name}\t{text[int(mark.start) : int(mark.end)]}\t{mark.label} {mark.value:.3f}")
    printer.pairs({name: _shown(side) for name, side in sides.items() if _shown(side)})
    if answer.moved is not None:
        printer.pairs({"likeness": f"{answer.moved:.4f}"})
    if answer.tokens_read < answer.tokens:
        printer.note(f"{answer.tokens_read:g} of {answer.tokens:g} tokens were read.")
    if answer.guessed:
        printer.note("The card names no labels; their names are a guess.")


def _labels(base: tuple[Share, ...], adapter: tuple[Share, ...]) -> list[tuple[str, str, str]]:
    values: list[Mapping[str, Any]] = [
        {share.label: f"{share.value:.3f}" for share in side} for side in (base, adapter)
    ]
    names = dict.fromkeys([*values[1], *values[0]])
    return [(name, values[0].get(name, "-"), values[1].get(name, "-")) for name in names]


def _shown(side: Side) -> str:
    return side.text if side.text is not None else "" if side.similarity is None else f"{side.similarity:.4f}"
