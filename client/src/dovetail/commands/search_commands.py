"""The commands that look at a hub: search, info, versions, diff, open, cat."""

import difflib
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any
from urllib.parse import quote

import typer

from dovetail import ids
from dovetail.answers.adapters import AdapterDetail
from dovetail.answers.versions import HistoryItem, Manifest, WithdrawnWeights
from dovetail.api import comparison, queries
from dovetail.commands import account_commands
from dovetail.commands.arguments import AdapterAt, Options
from dovetail.commands.printer import Printer
from dovetail.problems import FORBIDDEN, MISSING, Problem, usage
from dovetail.verdicts import Verdict

Values = list[str] | None
MOST_MODULES, VERDICTS_AT_ONCE = 5, 8
PROVEN = ("passed", "failed")
NEUTRAL = "neutral"  # plain sentences, which measure no task
# Of manifests for Kubernetes; here, since reading YAML would slow every command down.
PLATFORMS = ("kserve", "dynamo", "aibrix", "production-stack", "llm-d", "inference-model")


def _filter(help: str, metavar: str = "VALUE") -> Any:
    return typer.Option(metavar=metavar, help=help)


def search(
    context: typer.Context,
    words: Annotated[Values, typer.Argument(metavar="WORD", help="Words of its name, summary or tags.")] = None,
    base: Annotated[Values, _filter("The base model, by any of its names.", "NS/NAME")] = None,
    kind: Annotated[Values, _filter("lora, ia3, prefix-tuning …", "KIND")] = None,
    task: Annotated[Values, _filter("text-classification, text-generation …", "TASK")] = None,
    license: Annotated[Values, _filter("As the card names it.", "LICENSE")] = None,
    language: Annotated[Values, _filter("As the card names it: en, de …", "LANGUAGE")] = None,
    tag: Annotated[Values, _filter("A tag of its card.", "TAG")] = None,
    author: Annotated[Values, _filter("A person or an organisation.", "NAME")] = None,
    engine: Annotated[Values, _filter("What serves it: vllm, sglang, tgi …", "ENGINE")] = None,
    verdict: Annotated[Values, _filter("passed, failed, queued …", "STATE")] = None,
    rank_min: Annotated[int | None, typer.Option(metavar="N", min=0, help="The lowest rank.")] = None,
    rank_max: Annotated[int | None, typer.Option(metavar="N", min=0, help="The highest rank.")] = None,
    size_min: Annotated[int | None, typer.Option(metavar="BYTES", min=0, help="The smallest size.")] = None,
    size_max: Annotated[int | None, typer.Option(metavar="BYTES", min=0, help="The largest size.")] = None,
    sort: Annotated[
        str,
        typer.Option(
            metavar="ORDER",
            help="relevance, updated, created, downloads, likes, trending or score (the gain on its own rows).",
        ),
    ] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="The most results to show.")] = 20,
) -> None:
    """Search adapters. An option may be given several times: its values are alternatives."""
    options: Options = context.obj
    filters: queries.Filters = {
        "q": " ".join(words or ()), "base": base, "kind": kind, "task": task, "license": license,
        "language": language, "tag": tag, "author": author, "engine": engine, "verdict": verdict,
        "rank_min": rank_min, "rank_max": rank_max, "size_min": size_min, "size_max": size_max,
        "sort": sort,
    }  # fmt: skip
    items, has_more = queries.search_adapters(options.client(), filters, limit)
    document = {"items": [dict(item) for item in items], "has_more": has_more}
    columns = ("adapter", "verdict", "kind", "base", "task", "downloads", "updated")
    options.printer.listing(document, columns, list(map(_row, items)), "No adapter that you can see matches.")
    if has_more:
        options.printer.note(f"There are more: --limit {limit * 5}")


def _row(item: AdapterDetail) -> list[object]:
    state = (item.get("verdict") or {}).get("state")
    day = (item.get("updated_at") or "")[:10]
    return [item["id"], state, item.get("kind"), item.get("base"), item.get("task"), item.get("downloads"), day]


def info(
    context: typer.Context,
    adapter: AdapterAt,
    manifest_of: Annotated[
        str,
        typer.Option(
            "--manifest", metavar="KIND", help=f"Print what Kubernetes needs to serve it: {', '.join(PLATFORMS)}."
        ),
    ] = "",
) -> None:
    """Show an adapter: its base, its newest and its verified version, its names and its files."""
    options: Options = context.obj
    if manifest_of:
        _print_manifest(options, adapter, manifest_of)
        return
    name, revision = ids.split(adapter, default="")
    caller, printer = options.client(), options.printer
    facts = caller.info(name)
    manifest: Manifest | None = None
    try:
        manifest = caller.manifest(name, revision or ids.MAIN)
    except Problem as problem:
        if revision or problem.exit_status not in {FORBIDDEN, MISSING}:
            raise  # a version that was asked for by name; main may be closed to this caller, and the rest is not
    if printer.as_json:
        printer.document({"adapter": dict(facts), "revision": dict(manifest) if manifest else None})
        return
    if printer.quiet:
        printer.line(manifest["revision"] if manifest else facts["id"])
        return
    printer.pairs(_facts(facts, caller.endpoint))
    if manifest:
        printer.pairs(_version(manifest))


def versions(
    context: typer.Context,
    adapter: AdapterAt,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="The most versions to show.")] = 20,
) -> None:
    """List the versions of an adapter, the newest first: verdict, score, and the names that they have."""
    options: Options = context.obj
    name, revision = ids.split(adapter)
    caller = options.client()
    facts = caller.info(name)
    place = f"{queries.path(name)}/revisions?limit={limit}&rev={quote(revision, safe='')}"
    items, has_more = queries.every(caller.transport, place, HistoryItem, limit)
    names: dict[str, list[str]] = {}
    for kind in ("aliases", "revision_tags", "branches"):
        for label, oid in (facts.get(kind) or {}).items():
            names.setdefault(oid, []).append(label)
    if verified := facts.get("verified"):
        names.setdefault(verified, []).insert(0, "verified")
    proven = [item.revision for item in items if item.state in PROVEN]
    with ThreadPoolExecutor(VERDICTS_AT_ONCE) as pool:
        scores = dict(zip(proven, pool.map(lambda oid: _headline(caller.verdict(name, oid)), proven), strict=True))
    told = [{**item, "names": names.get(item.revision, []), "score": scores.get(item.revision)} for item in items]
    rows = [
        [row["revision"][:12], row["state"], _score_of(row["score"]), ", ".join(row["names"]), row["title"]]
        for row in told
    ]
    document = {"adapter": name, "items": told, "has_more": has_more}
    options.printer.listing(
        document, ("version", "verdict", "score", "names", "title"), rows, f"{name} has no version."
    )


def _headline(verdict: Verdict) -> dict[str, object] | None:
    """Return the first measurement of the adapter's task."""
    row = next((row for row in verdict.evals if row.adapter is not None and row.name != NEUTRAL), None)
    return None if row is None else {"name": row.name, "metric": row.metric, "value": row.adapter, "rows": row.rows}


def _score_of(row: Mapping[str, Any] | None) -> str:
    return f"{row['metric']} {row['value']:g}" if row else ""


def open_(context: typer.Context, adapter: AdapterAt) -> None:
    """Print the address of an adapter's page, or of a version's, and open it in the browser of this desktop."""
    options: Options = context.obj
    name, revision = ids.split(adapter, default="")
    caller = options.client()
    facts = caller.info(name)
    page = f"{caller.endpoint}/{facts.id}" + (f"/tree/{quote(revision, safe='')}" if revision else "")
    is_opened = options.printer.is_human and account_commands.open_page(page)
    options.printer.answer({"adapter": facts.id, "url": page}, page, "It is open in your browser." if is_opened else "")


def cat(
    context: typer.Context,
    adapter: AdapterAt,
    path: Annotated[str, typer.Argument(metavar="FILE", help="Its path in the repository, such as README.md.")],
) -> None:
    """Write one file of a version to standard output, as it is; with --json as text."""
    options: Options = context.obj
    caller = options.client()
    manifest = caller.manifest(adapter)
    file = next((file for file in manifest.files if file.path == path), None)
    if file is None:
        near = difflib.get_close_matches(path, [file.path for file in manifest.files], 1)
        fix = f"Did you mean {near[0]}?" if near else f"`dovetail pull {adapter} --dry-run` lists its files."
        raise Problem(f"{adapter} has no file {path!r}.", fix, code="client-no-file", status=404)
    place = f"{queries.path(manifest.adapter, manifest.revision)}/files/{quote(path)}"
    with caller.transport.open(place) as answer:
        pieces = answer.stream(1 << 20)
        if not options.printer.as_json:
            sys.stdout.flush()
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        text = b"".join(pieces).decode(errors="replace")
    options.printer.document({"revision": manifest.revision, "path": path, "size": file.size, "text": text})


def _facts(facts: AdapterDetail, endpoint: str) -> dict[str, object]:
    visibility = "private" if facts.get("private") else f"gated ({facts['gated']})" if facts.get("gated") else "public"
    rank = f", rank {facts['rank']}" if facts.get("rank") else ""
    return {
        "adapter": f"{facts['id']} ({visibility}, {facts.get('status', 'active')})",
        "page": f"{endpoint}/{facts['id']}",
        "summary": facts.get("summary"),
        "kind": f"{facts.get('format')} {facts.get('kind')}{rank}" if facts.get("kind") else None,
        "base": facts.get("base"),
        "task": facts.get("task"),
        "license": facts.get("license"),
        "counts": f"{facts.get('downloads', 0):,} downloads, {facts.get('likes', 0):,} likes",
        "main": facts.get("latest"),
        "verified": _verified(facts),
        "aliases": _names(facts.get("aliases")),
        "tags": _names(facts.get("revision_tags")),
        "branches": _names(facts.get("branches")),
        "deprecated": (facts.get("deprecated") or {}).get("message"),
    }


def _verified(facts: AdapterDetail) -> str:
    fits = " (fits, not run)" if facts.get("verified_is_run") is False else ""
    return f"{facts['verified']}{fits}" if facts.get("verified") else "no version"


def _names(names: Mapping[str, str] | None) -> str | None:
    return ", ".join(f"{name} ({revision[:7]})" for name, revision in (names or {}).items()) or None


def _version(manifest: Manifest) -> dict[str, object]:
    files = manifest["files"]
    largest = max(files, key=lambda file: file["size"], default=None)
    words = f", the largest {largest['path']}" if largest else ""
    return {
        "revision": manifest["revision"],
        "title": manifest.get("title"),
        "by": f"{manifest.get('author')}, {(manifest.get('created_at') or '')[:10]}",
        "verdict": manifest.get("state"),
        "files": f"{len(files):,}, {sum(file['size'] for file in files):,} bytes{words}",
        "yanked": (manifest.get("yanked") or {}).get("reason"),
        "withdrawn": _withdrawn(manifest.withdrawn_weights),
    }


def _withdrawn(weights: WithdrawnWeights | None) -> str | None:
    if weights is None:
        return None
    return f"The same weights were withdrawn in {weights.adapter} at {weights.revision[:12]}: {weights.reason}"


def diff(
    context: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="NS/NAME[@REV].")],
    b: Annotated[str, typer.Argument(metavar="B", help="NS/NAME[@REV], or @REV of the same adapter.")],
) -> None:
    """Compare two versions: files, config, evaluations, weights."""
    options: Options = context.obj
    printer = options.printer
    first = ids.split(a)
    second = ids.split(f"{first[0]}{b}" if b.startswith("@") else b)
    difference = comparison.compare(options.client(), first, second)
    if printer.as_json:
        printer.document(difference)
        return
    for sign, side in (("-", difference["a"]), ("+", difference["b"])):
        state = ", ".join(filter(None, (side["state"], " ".join(side["failed"]))))
        printer.note(f"{sign} {side['adapter']}@{side['revision'][:12]} {state}".rstrip())
    for row in difference["files"]:
        sizes = f"{_size(row['a'])} → {_size(row['b'])}"
        printer.line(f"file    {row['change']:<8} {row['path']}" + ("" if printer.quiet else f"  {sizes}"))
    for row in difference["config"]:
        printer.line(f"config  {row['key']}  {row['a']!r} → {row['b']!r}")
    for row in difference["evaluations"]:
        printer.line(f"eval    {row['name']} {row['metric']}  {_score(row['a'])} → {_score(row['b'])}")
    for file in difference["weights"] or ():
        _print_weights(printer, file)
    if not (difference["files"] or difference["config"]):
        printer.note("Their files are the same.")


def _print_weights(printer: Printer, file: Mapping[str, Any]) -> None:
    """Print what changed in a weight file, and the modules that changed most."""
    counts = [f"{len(file[change])} {change}" for change in ("added", "removed", "reshaped", "retyped") if file[change]]
    words = ", ".join(counts) or (file.get("reason") or "")
    if file["state"] != "same":
        printer.line(f"weights {file['path']}  {file['state']}  {words}".rstrip())
    for module in file["modules"][:MOST_MODULES]:
        change = module["relative_change"]
        printer.line(f"module  {module['module']}  {'new' if change is None else f'{change:.3g}'} relative change")


def _size(size: int | None) -> str:
    return "-" if size is None else f"{size:,}"


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:g}"


def _print_manifest(options: Options, adapter: str, kind: str) -> None:
    """Print the manifest of a kind for one commit, the verified one where none is named. Raises Problem."""
    if kind not in PLATFORMS:
        raise usage(f"There is no manifest {kind!r}.", f"Use one of {', '.join(PLATFORMS)}.")
    from dovetail.serve import manifests  # noqa: PLC0415  # only a manifest pays for PyYAML
    from dovetail.serve.server_start import Target  # noqa: PLC0415  # no other command needs it

    name, revision = ids.split(adapter, default="verified")
    caller = options.client()
    verdict = caller.verdict(name, revision)
    target = Target.of_verdict(verdict.document, caller.endpoint)
    try:
        text = manifests.manifest(kind, target, verdict.serving)
    except ValueError as reason:
        raise usage(str(reason), f"`dovetail verdict {name}@{revision}` shows what serves it.") from None
    if options.printer.as_json:
        document = {"adapter": name, "revision": target.revision, "kind": kind, "manifest": text}
        options.printer.document(document)
    else:
        for line in text.splitlines():
            options.printer.line(line)
