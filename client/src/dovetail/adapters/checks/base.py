"""Checks of the base that an adapter names: a name and no path, known, the right one, with the right vocabulary.

The names of tokens in the adapter's tokenizer are compared with those of its base, whose tokenizer servers use.
"""

import re
from collections.abc import Mapping

from dovetail.adapters.files import config as configs
from dovetail.adapters.formats import bases, tokens
from dovetail.adapters.methods import task_of
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.findings import Finding, failed, skipped, some, warned

GENERATING = ("CAUSAL_LM", "SEQ_2_SEQ_LM")
TOLD = 5  # of a list in a sentence
# Names that a chat template never needs, and with which an escape from an interpreter of templates begins.
INTERNALS = re.compile(
    r"__(?:class|mro|bases?|subclasses|globals|builtins|import|init|new|dict|code|self|reduce|getattribute)__"
)


def breaking(folder: Folder) -> Finding | None:
    """Warn of differences with which a server that takes the base's tokenizer generates something else."""
    own, base = tokens.names(folder.files), folder.base.token_names if folder.base else None
    if own is None or base is None or folder.base is None:
        return None
    renamed = sorted(number for number, text in own.added.items() if base.added.get(number, text) != text)
    if renamed:
        first = renamed[0]
        return warned(
            f"Token {first:,} is {own.added[first][:60]!r} in its tokenizer and {base.added[first][:60]!r} "
            f"in that of {folder.base.id} ({len(renamed):,} tokens differ): with the base's tokenizer, the "
            "adapter never sees the tokens it was trained on.",
            "Start the server with the adapter's tokenizer.",
            tokens=renamed[:20],
        )
    end, base_end = own.roles.get("eos_token", ""), base.roles.get("eos_token", "")
    if not end or not base_end or end == base_end or task_of(folder.config) not in GENERATING:
        return None
    return warned(
        f"Its tokenizer ends a text with {end[:60]!r}, that of {folder.base.id} with {base_end[:60]!r}: "
        "a server that uses the base's tokenizer does not stop where the adapter ends.",
        f"Start the server with the adapter's tokenizer, or send stop={[end[:60]]} with each request.",
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
        f"Its tokenizer differs from that of {base.id}: {len(moved):,} of {len(own):,} tokens have other "
        f"ids ({first[:40]!r} is {own[first]:,}, in the base {there}). It was measured with the base's "
        "tokenizer, as servers run it, so its input differed from its training data.",
        "Train with the tokenizer of the base; if it was trained with this one, name the base that has it.",
        tokens=sorted(own[text] for text in moved)[:20],
        count=len(moved),
    )


def others(folder: Folder) -> str:
    """Return a sentence about differences that change no generation by themselves, "" for none."""
    own, base = tokens.names(folder.files), folder.base.token_names if folder.base else None
    if own is None or base is None:
        return ""
    roles = [
        f"{role} is {text[:40]!r}, in the base {base.roles[role][:40]!r}"
        for role, text in own.roles.items()
        if base.roles.get(role, text) != text
    ]
    roles += [
        f"{role} is {own.roles[role][:40]!r}, and the base has none" for role in own.roles.keys() - base.roles.keys()
    ]
    more = sorted(own.special - base.special - set(base.added.values()))
    added = sorted(number for number in own.added.keys() - base.added.keys())
    facts = [*sorted(roles), *([f"it has the extra special tokens {some(more, TOLD)}"] if more else [])]
    facts += [f"it adds the tokens {some(map(str, added), TOLD)}"] if added and base.added else []
    return f" Differences of its tokenizer: {'; '.join(facts)}." if facts else ""


FIELD = Folder.base_field  # of a config of PEFT
ADDRESS = re.compile(r"https?://[^/\s]+/(?:models/)?([\w.-]+/[\w.-]+)(?:/.*)?$")
SOME_ID = "the id of the base model, such as 'org/name'"


def unnamed(folder: Folder) -> str | Finding:
    if folder.base_id:
        return f"The base is {folder.base_id[:120]}."
    field, hint = folder.base_field, _card_base(folder)
    fix = f"Set {field} to {hint!r}, which the card names." if hint else f"Set {field} to {SOME_ID}."
    return failed(f"{configs.NAME} names no base model: {field} is empty.", fix)


def local_path(folder: Folder) -> str | Finding:
    name, field = folder.base_id or "", folder.base_field
    if not is_local_path(name):
        return "The base is a name, not a path."
    base_id = folder.base.id if folder.base else _card_base(folder)
    if address := ADDRESS.match(name):
        return failed(
            f"{field} is {name[:120]!r}, an address; loaders expect a name.",
            f"Set {field} to {address[1]!r} and push again.",
            found=name[:120],
        )
    return failed(
        f"{field} is {name[:120]!r}, a path on the machine that trained it; it exists nowhere else.",
        f"Set {field} to {base_id!r} and push again." if base_id else f"Set {field} to {SOME_ID}.",
        found=name[:120],
    )


def is_local_path(name: str) -> bool:
    return (
        name.startswith(("/", "~", ".", "\\"))
        or name.count("/") > 1
        or "\\" in name
        or name[1:2] == ":"
        or "://" in name
    )


def unknown(folder: Folder) -> str | Finding:
    if folder.known_bases is None and folder.base is not None:
        return f"{folder.base.id} is in this hub's base cache."
    if folder.known_bases is None:
        return skipped("No hub was asked whether it knows this base.")
    if folder.adapter_base is not None:
        return _on_an_adapter(folder, folder.adapter_base)
    if (folder.base_id or "").casefold() in map(str.casefold, folder.known_bases):
        return "This hub knows the base."
    return failed(
        f"This hub does not know the base {(folder.base_id or '')[:120]!r}.",
        "Check the spelling; if it is correct, ask an administrator to add the base.",
        base=(folder.base_id or "")[:120],
    )


def _on_an_adapter(folder: Folder, base: str) -> Finding:
    name, under = (folder.base_id or "")[:120], base[:120]
    alone = f"set {folder.base_field} to {under!r}, its base" if under else f"set {folder.base_field} to its base"
    return failed(
        f"{folder.base_field} names {name}, which is an adapter{f' of {under}' if under else ''}, not a "
        f"base model: servers load each adapter on the base itself, without {name}, and PEFT replaces "
        f"{name} in every module that both adapt.",
        f"Merge {name} into its base with merge_and_unload(), push the merged model, and name it; or, if "
        f"this one was trained on the base alone, {alone} and push again.",
        adapter=name,
        base=under,
    )


def mismatch(folder: Folder) -> str | Finding:
    if another := of_another(folder):
        return another
    card = _card_bases(folder)
    if card and not any(_agree(folder, folder.base_id or "", name) for name in card):
        return warned(
            f"The card names the base {some(card)}, but {configs.NAME} names {str(folder.base_id)[:120]}.",
            f"Set base_model in README.md to {str(folder.base_id)[:120]!r} if it was trained on that; "
            f"otherwise correct {folder.base_field} in {configs.NAME}.",
            card=card[:5],
            config=str(folder.base_id)[:120],
        )
    return "The config and the card name the same base." if card else "Only one place names a base."


def of_another(folder: Folder) -> Finding | None:
    """Return the refusal of an adapter that names another base than the one it is checked against."""
    if folder.base is None or meant(folder):
        return None
    return failed(
        f"{configs.NAME} names {str(folder.base_id)[:120]!r}, but it was checked against {folder.base.id!r}.",
        f"Set {folder.base_field} to the base it was trained on.",
        expected=folder.base.id,
        found=str(folder.base_id)[:120],
    )


def quantised(folder: Folder) -> str | Finding:
    name = folder.base_id or ""
    relation = meant(folder) if folder.base else "quantised" if bases.full_precision(name) else "same"
    if relation == "alias" and folder.base:
        return f"{name[:120]} is another name of {folder.base.id}."
    if relation != "quantised":
        return "The base is in full precision."
    full = folder.base.id if folder.base else bases.canonical(bases.full_precision(name))
    proven = f"it was validated on {full}" if folder.base else f"hubs validate it on {full}"
    return warned(
        f"{name[:120]} is a quantised copy: {proven} in full precision. On the quantised copy its "
        "numbers may differ slightly, and each load needs the library that quantised it.",
        f"Set {folder.base_field} to {full!r}, so that it loads everywhere; users can still quantise the base.",
        found=name[:120],
        base=full,
    )


def meant(folder: Folder) -> bases.Relation:
    """Return the relation of the config's base name to the base that the adapter is checked against."""
    assert folder.base is not None
    return bases.relation(folder.base_id or "", folder.base.id, folder.base.names)


def _agree(folder: Folder, left: str, right: str) -> bool:
    """Return whether two names mean one base, or one of them its quantised copy."""
    if bases.relation(left, right) or bases.relation(right, left):
        return True
    base = folder.base
    return base is not None and all(bases.relation(name, base.id, base.names) for name in (left, right))


def unpinned(folder: Folder) -> str | Finding:
    revision = configs.text(folder.config, "revision")
    checked = folder.base.revision if folder.base else None
    if revision and checked and not _is_same_commit(revision, checked):
        return warned(
            f"{configs.NAME} pins the base to {revision[:60]}, but it was checked against {checked[:60]}.",
            f"Set revision to {checked[:60]} if it was trained on that; otherwise ask for the pinned "
            "revision of the base.",
            expected=checked[:60],
            found=revision[:60],
        )
    if revision:
        return f"The base is pinned to {revision[:60]}."
    return (
        "No revision of the base is pinned, as trainers save it; the verdict records the digest that it "
        "was validated on."
    )


def _is_same_commit(pinned: str, checked: str) -> bool:
    """Return whether two commit ids agree; like git, accept a prefix of at least seven digits."""
    return pinned == checked or (len(pinned) >= 7 and checked.startswith(pinned.lower()))


def vocabulary(folder: Folder) -> str | Finding:
    own = tokens.vocabulary(folder.files) if folder.base and folder.stated_task != "CTC" else None
    if finding := _rows_of_tokens(folder, own):
        return finding
    rows, size = folder.layout.rows, folder.base.vocabulary if folder.base else 0
    layout = folder.layout
    if layout.tokens:
        return warned(
            f"It trains single tokens ({some(layout.tokens)}); not every server supports that.",
            "If that was intended, there is nothing to fix.",
            tensors=sorted(layout.tokens)[:5],
        )
    if not rows or folder.stated_task == "CTC":  # of CTC lm_head is the head, and there are no embeddings
        loud = (own and renumbered(folder, own[1])) or breaking(folder)
        return loud or f"It uses the vocabulary of the base.{others(folder)}"
    grown = f", the base {size:,}" if size and rows != size else ""
    coarse = sorted({tensor.dtype for tensor in layout.embeddings.values()} & {"BF16", "F16"})
    rounded = f"; loading rounds the base's embeddings to {some(coarse)}" if coarse else ""
    return warned(
        f"The file contains whole embeddings of {rows:,} rows{grown}{rounded}.",
        "Save with save_embedding_layers=False unless tokens were added.",
        rows=rows,
    )


def _rows_of_tokens(folder: Folder, own: tuple[str, dict[str, int]] | None) -> Finding | None:
    """Return a finding if tokens have no row in the embeddings, or get theirs by the adapter alone."""
    size = folder.base.vocabulary if folder.base else 0
    end = max(folder.layout.rows, size)
    added, trained = tokens.added(folder.files), tokens.trained(folder.config)
    added |= dict.fromkeys(own[1].values(), own[0]) if own else {}
    beyond = sorted(number for number in trained if not 0 <= number < end)
    if not (folder.base and size):
        return None
    # A base may have tokens of its own without a row, which nobody uses.
    lacking = sorted(number for number in added.keys() - trained if number >= max(end, folder.base.tokens))
    if lacking:
        return failed(
            f"{added[lacking[-1]]} gives a token the id {lacking[-1]:,}, but the embeddings end at "
            f"{end - 1:,}: a text with this token fails.",
            "Save with save_embedding_layers=True, or train the rows of the new tokens with trainable_token_indices.",
            token=lacking[-1],
            rows=end,
        )
    if not beyond:
        return None
    has_gap = beyond[0] != end or beyond[-1] - end + 1 != len(beyond)
    if has_gap or beyond[-1] not in added:
        return failed(
            f"{configs.NAME} trains token {beyond[-1]:,}, but the embeddings end at {end - 1:,}.",
            "Name the base it was trained on; for new tokens, push their tokenizer and train the rows of all of them.",
            token=beyond[-1],
            rows=end,
        )
    rows = beyond[-1] + 1
    return warned(
        f"It adds {len(beyond):,} tokens to the base's {end:,} and contains their rows: it was validated "
        f"on the base with {rows:,} rows.",
        f"Tell users to call model.resize_token_embeddings({rows}) before they load it; few servers can do that.",
        tokens=len(beyond),
        rows=rows,
    )


def chat_template(folder: Folder) -> str | Finding:
    """Refuse a chat template that reaches into Python, and warn of one that is not the base's, which servers take."""
    for path, text in tokens.chat_templates(folder.files):
        if inside := INTERNALS.search(text):
            return failed(
                f"The chat template in {path} reaches for {inside[0]}: a program that renders it without a sandbox "
                "runs its code.",
                "Write it without Python's internals, or leave it out: servers take the base's.",
                file=path,
            )
    own = tokens.chat_template(folder.files)
    if not own:
        return "It has no chat template."
    if folder.base is None or folder.base.chat_template is None:
        return "It has a chat template; the base's is not available here to compare."
    if own.strip() == folder.base.chat_template.strip():
        return "Its chat template is that of its base."
    if folder.base.chat_template:
        found = f"Its chat template differs from that of {folder.base.id}: a server prompts it with the base's template"
    else:
        found = f"It has a chat template, and {folder.base.id} has none: a server of the base refuses chat requests"
    return warned(
        f"{found}, unless it is started with the adapter's template.",
        "Start the server with the adapter's template: vllm serve --chat-template FILE.",
        base_has_one=bool(folder.base.chat_template),
    )


def _card_bases(folder: Folder) -> list[str]:
    return list(configs.names(dict(folder.card or {}), "base_model"))


def _card_base(folder: Folder) -> str | None:
    names = [name for name in _card_bases(folder) if not is_local_path(name)]
    return names[0] if names else None
