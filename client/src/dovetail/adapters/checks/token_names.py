"""Compares the names of tokens in an adapter's tokenizer with those of its base, whose tokenizer servers use."""

from __future__ import annotations

from collections.abc import Mapping

from dovetail.adapters.formats import tokens
from dovetail.adapters.methods import task_of
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.findings import Finding, some, warned

GENERATING = ("CAUSAL_LM", "SEQ_2_SEQ_LM")
TOLD = 5  # of a list in a sentence


def breaking(folder: Folder) -> Finding | None:
    """Warn of differences with which a server that takes the base's tokenizer generates something else."""
    own, base = tokens.names(folder.files), folder.base.token_names if folder.base else None
    if own is None or base is None or folder.base is None:
        return None
    renamed = sorted(number for number, text in own.added.items() if base.added.get(number, text) != text)
    if renamed:
        first = renamed[0]
        return warned(
            f"Its tokenizer calls the token {first:,} {own.added[first][:60]!r}, and that of {folder.base.id} "
            f"{base.added[first][:60]!r} ({len(renamed):,} tokens differ): with the base's tokenizer it does not see "
            "the tokens that it was trained on.",
            "Start the server with the tokenizer of the adapter.",
            tokens=renamed[:20],
        )
    end, base_end = own.roles.get("eos_token", ""), base.roles.get("eos_token", "")
    if not end or not base_end or end == base_end or task_of(folder.config) not in GENERATING:
        return None
    return warned(
        f"Its tokenizer ends a text with {end[:60]!r}, that of {folder.base.id} with {base_end[:60]!r}: a server that "
        "takes the base's does not stop where the adapter ends.",
        f"Start the server with the tokenizer of the adapter, or ask with stop={[end[:60]]}.",
        expected=base_end[:60],
        found=end[:60],
    )


def renumbered(folder: Folder, own: Mapping[str, int]) -> Finding | None:
    """Warn of a tokenizer that gives the base's ids to other tokens: with the base's it reads other texts than trained.

    The names of added tokens are compared by `breaking`. SentencePiece may number from one, and its few special pieces
    otherwise.
    """
    base = folder.base
    ids = dict(base.token_ids()) if base is not None and base.token_ids is not None else {}
    if base is None or not ids:
        return None
    taken, named = set(ids.values()), tokens.names(folder.files)
    added = {*(base.token_names.added if base.token_names else ()), *(named.added if named else ())}
    moved = min(
        (
            [text for text, at in own.items() if ids.get(text) != at + shift and at + shift in taken - added]
            for shift in (0, 1)
        ),
        key=len,
    )
    if not moved:
        return None
    first = min(moved, key=own.__getitem__)
    there = f"{ids[first]:,}" if first in ids else "none"
    return warned(
        f"Its tokenizer is not that of {base.id}: {len(moved):,} of {len(own):,} tokens have other ids ({first[:40]!r} "
        f"is {own[first]:,}, the base's {there}). It was measured with the base's, as servers run it, which "
        "gives it other texts than it was trained on.",
        "Train it with the tokenizer of its base; if it was trained with this one, name the base that has it.",
        tokens=sorted(own[text] for text in moved)[:20],
        count=len(moved),
    )


def others(folder: Folder) -> str:
    """Return a sentence about differences that change no generation by themselves, "" for none."""
    own, base = tokens.names(folder.files), folder.base.token_names if folder.base else None
    if own is None or base is None:
        return ""
    roles = [
        f"{role} is {text[:40]!r}, the base's {base.roles[role][:40]!r}"
        for role, text in own.roles.items()
        if base.roles.get(role, text) != text
    ]
    roles += [f"{role} is {own.roles[role][:40]!r}, the base has none" for role in own.roles.keys() - base.roles.keys()]
    more = sorted(own.special - base.special - set(base.added.values()))
    added = sorted(number for number in own.added.keys() - base.added.keys())
    facts = [*sorted(roles), *([f"it has the special tokens {some(more, TOLD)} as well"] if more else [])]
    facts += [f"it adds the tokens {some(map(str, added), TOLD)}"] if added and base.added else []
    return f" Of its tokenizer: {'; '.join(facts)}." if facts else ""
