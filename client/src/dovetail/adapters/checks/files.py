"""Checks of the presence and the form of files, of pickles and other files that run code when they are loaded.

Those of the model card warn and never fail. Other checks judge the contents of files.
"""

import re
from collections.abc import Iterator

from dovetail.adapters.checks.base import is_local_path
from dovetail.adapters.checks.privacy import TRAINING_STATE
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import gguf, pickles
from dovetail.adapters.files.config import ConfigError
from dovetail.adapters.files.gguf import GgufError
from dovetail.adapters.files.header import POINTER, HeaderError, NotGathered, Opener, Pointer
from dovetail.adapters.files.pickle_imports import MEMBER, PLAIN_IMPORTS, TENSOR_IMPORTS, Pickle
from dovetail.adapters.files.pickle_interpreter import Refused
from dovetail.adapters.formats import bases, formats, twins
from dovetail.adapters.formats.description import PIPELINE_TAGS
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.findings import Finding, failed, skipped, some, warned, within

PUSH_IT = "Push the file itself: git lfs push --all, or huggingface_hub.upload_file()."  # of a pointer of Git LFS
# Imports that the pickled state of a training may make: classes of settings of these libraries, and holders of numbers.
# No library is trusted whole: torch, numpy and transformers have functions that run a text or fetch code from a hub.
TRAINERS = (
    *("accelerate", "alignment", "axolotl", "llamafactory", "llmtuner", "peft", "sentence_transformers"),
    *("setfit", "swift", "torch.distributed", "transformers", "trl"),
)
SETTINGS = re.compile(
    r"[A-Z]\w*(?:Arguments|Config|Constants|Kwargs|Loss|Method|Mode|Names|Option|Plugin|Policy|Prefetch|Samplers|State"
    r"|Strategy|Type)"
)
NUMBERS = frozenset(
    {
        *("_codecs encode", "collections OrderedDict", "collections defaultdict", "collections deque"),
        *("datetime timedelta", "numpy dtype", "numpy ndarray", "pathlib PosixPath", "pathlib PurePosixPath"),
        *("pathlib WindowsPath", "torch Size", "torch device"),
        *(f"numpy.{core}.multiarray {name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        *(f"{module} {name}" for module in ("builtins", "__builtin__") for name in ("dict", "list", "object", "set")),
        *(f"{module} _reconstructor" for module in ("copy_reg", "copyreg")),
    }
)
# In the bytes of protobuf: the entry "location" of a tensor's external data; the value begins with its length.
EXTERNAL = re.compile(rb"\n\x08location\x12(.[^\0-\x1f]+)|\x12(.[^\0-\x1f]+)\n\x08location", re.DOTALL)
OUTSIDE = re.compile(r"^[/\\]|^\w:|(?:^|[/\\])\.\.(?:[/\\]|$)")
MAX_ONNX = 64 << 20  # with external data such a file is small


def pickle(folder: Folder) -> str | Finding:
    tensors: list[str] = []
    for path, opener in folder.files.items():
        scanned = scan(path, opener)
        if scanned and not scanned.is_data and is_pointer(opener):
            message = f"{path} is a Git LFS pointer, and the file it points to was not pushed."
            return failed(message, PUSH_IT, file=path)
        if scanned and not scanned.is_data:
            return unsafe(path, scanned, folder.to_safetensors)
        if scanned and scanned.only_tensors:
            tensors.append(path)
    for path, reason in folder.joined.refused.items():
        return failed(f"{path} cannot be read: {reason}.", way_out(path, folder.to_safetensors), file=path)
    converted = {pickle: twin for twin, pickle in folder.joined.made.items()}
    unconverted = [path for path in tensors if path not in converted and twins.safe_path(path) not in folder.files]
    if folder.weights in unconverted:
        return warned(f"{folder.weights} is a pickle of tensors and was not opened.", folder.to_safetensors)
    if unconverted:
        return warned(
            f"{some(unconverted)} is a pickle of tensors, which no loader of this format opens.",
            "Delete it, or keep it where training continues.",
            files=unconverted,
        )
    if converted:
        safe = some(converted.values())
        return f"{some(converted)} contains only tensors; it was read as {safe} without unpickling."
    return "No loader would open a pickle here."


def scan(path: str, opener: Opener) -> Pickle | None:
    """Return the pickle in a file, or None if there is none, or one that a Trainer keeps and no loader opens."""
    with opener() as file:
        scanned = pickles.read(path, file)
    return None if scanned and _is_training_state(path) and _from_trainer(scanned) else scanned


def is_pointer(opener: Opener) -> bool:
    """Return whether a file is a pointer of Git LFS."""
    with opener() as file:
        return file.read(len(POINTER)) == POINTER


def unsafe(path: str, pickle: Pickle, to_safetensors: str) -> Finding:
    """Return the refusal of a file that may run code; `to_safetensors` says how weights are saved without a pickle."""
    more = pickle.imports - TENSOR_IMPORTS - PLAIN_IMPORTS
    inside = f"contains {pickle.member[:120]}, which " if pickle.member else ""
    what = f"is a pickle that would import {some(more)}" if more else f"counts as a pickle, and {pickle.reason}"
    return failed(
        f"{path} {inside}{what}; it was not opened.",
        way_out(path, to_safetensors),
        file=path,
        imports=sorted(more)[:20],
        quarantine=True,
    )


def way_out(path: str, instead: str) -> str:
    """Return what to do about a pickle that is held back; `instead` says how weights are saved without one."""
    if _is_training_state(path):
        return f"Delete {path}: it is training state, which users do not need."
    if twins.safe_path(path):
        return instead if path in instead else f"{instead} Delete {path}."
    return f"Delete {path}, push its tensors as safetensors, or rename it if its data is not a pickle."


def _is_training_state(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name in TRAINING_STATE or name.startswith("rng_state")


def _from_trainer(pickle: Pickle) -> bool:
    return not pickle.reason and all(map(is_of_trainer, pickle.imports))


def is_of_trainer(name: str) -> bool:
    """Return whether a trainer pickles an import; a dotted name would lead on, as in `torch os.system`."""
    if name == MEMBER or name in NUMBERS or name in TENSOR_IMPORTS:
        return True
    module, _, member = name.partition(" ")
    of_trainer = any(module == trainer or module.startswith(f"{trainer}.") for trainer in TRAINERS)
    return of_trainer and bool(SETTINGS.fullmatch(member))


LARGE_BYTES = 2 * 2**30
MAX_JUDGED = 8  # adapters in folders of one repository that are proven
SHARD = re.compile(r"adapter_model-\d+(?:-of-\d+)?\.(?:safetensors|bin)")


def twins_differ(folder: Folder) -> str | Finding:
    """Compare a pickle with its safetensors: PEFT loads the safetensors file, the adapters library the pickle."""
    compared = 0
    for path in sorted(folder.files):
        safe = twins.safe_path(path)
        if safe is None or safe not in folder.files or safe in folder.joined.made:
            continue
        try:
            names = twins.differences(twins.Twin(folder.files[path]), folder.files[safe])
        except (Refused, HeaderError) as problem:
            return warned(f"{path} cannot be compared with {safe}: {problem}.", f"Delete {path}.", file=path)
        if names:
            return warned(
                f"{path} and {safe} have different tensors: {some(names)}. Some libraries load one, some the "
                f"other; {safe} was validated.",
                f"Save both again from the same weights, or delete {path}.",
                file=path,
                tensors=names[:20],
            )
        compared += 1
    return (
        f"{compared} pickles have the same tensors as their safetensors files."
        if compared
        else "No weights exist in two formats."
    )


def missing(folder: Folder) -> str | Finding:
    if folder.missing_head:
        return failed(
            f"The weights of the head are missing: its config is here but {folder.missing_head} is not, so "
            "loaders create an untrained head.",
            f"{folder.again} Include the head's weights; if there is no head, delete its config.",
            missing=[folder.missing_head],
        )
    if folder.weights in folder.files:
        source = folder.joined.made.get(folder.weights)
        derived = f" as {source}" if source else ""
        return f"{folder.weights} is here{derived}, {folder.sizes[folder.weights]:,} bytes."
    candidates = [path for path in folder.files if path.endswith(".safetensors")]
    if parts := sorted(path for path in folder.files if SHARD.fullmatch(path)):
        return failed(
            f"The weights are in {len(parts)} parts ({some(parts)}), but PEFT reads only one file, {folder.weights}.",
            "Join the parts: load each with safetensors.torch.load_file() and save all tensors to "
            f"{folder.weights}. On a hub, `dovetail repair` does that.",
            found=parts[:20],
        )
    hint = f"; there is {some(candidates)}" if candidates else ""
    return failed(
        f"There is no {folder.weights} at the top of the repository{hint}.",
        f"Save the adapter, and push {configs.NAME} and {folder.weights} to the top level.",
        found=candidates[:5],
    )


def ambiguous(folder: Folder) -> str | Finding:
    index = f"{folder.weights}.index.json"
    shards = sorted(path for path in folder.files if SHARD.fullmatch(path) or path == index)
    if shards:
        return failed(
            f"Besides {folder.weights} there is {some(shards)}: PEFT reads one file only and would ignore the others.",
            f"Join the parts into one {folder.weights} and delete the others.",
            files=shards[:20],
        )
    whole = sorted({"model.safetensors", "pytorch_model.bin", "model.safetensors.index.json"} & folder.files.keys())
    if whole:
        return warned(
            f"{some(whole)} is in the adapter's folder: some loaders take the folder for a full model.",
            "Keep only the adapter in its repository.",
            files=whole,
        )
    return _others(folder, formats.detect(folder.files)[1:])


def _others(folder: Folder, others: list[formats.Found]) -> str | Finding:
    subject = f"The adapter in {folder.place}/" if folder.place else "The adapter at the top"
    descriptions = [f"{family} ({path})" for family, _, path in others]
    folders = {path.rpartition("/")[0] for _, _, path in others}
    if folder.place and len(folders) >= MAX_JUDGED:
        return warned(
            f"There are adapters in {len(folders) + 1} folders: {MAX_JUDGED} of them are validated, the "
            "others are only listed.",
            "Push unrelated adapters to repositories of their own.",
            folders=len(folders) + 1,
        )
    return (
        f"{subject} was checked; there is also {some(descriptions)}."
        if descriptions
        else "There is one set of weights."
    )


WAYS_OUT: dict[type[Exception], str] = {
    Pointer: PUSH_IT,
    NotGathered: "Set stage3_gather_16bit_weights_on_model_save to true and save again, or gather the checkpoint with "
    "its zero_to_fp32.py.",
}
FORMS = {".gguf": "GGUF", ".safetensors": "safetensors", ".npz": "numpy"}


def header(folder: Folder) -> str | Finding:
    if not folder.sources:
        return skipped(f"{folder.weights} is an archive and was not unpacked.")
    tensors = values = of_heads = 0
    for source in folder.sources:
        form = next((form for end, form in FORMS.items() if source.path.endswith(end)), "pickle")
        try:
            content = source.header()
        except (HeaderError, GgufError, Refused) as error:
            what = "contains no values" if isinstance(error, NotGathered) else f"is not a valid {form} file"
            message = f"{source.path} {what}: {error}."
            return within(failed(message, WAYS_OUT.get(type(error), folder.again)), source.place)
        if not content.tensors:
            return within(failed(f"{source.path} contains no tensors.", folder.again), source.place)
        if source.is_head:
            of_heads += len(content.tensors)
        else:
            tensors, values = tensors + len(content.tensors), values + content.parameters
    if beside := list(_faults_beside(folder)):
        return warned(
            f"Beside the adapter, {'; '.join(beside[:5])}. Nothing here loads it, but other programs may.",
            "Save it again with the program that wrote it, or leave it out.",
        )
    more = f" The head has {of_heads:,} more." if of_heads else ""
    return f"{tensors:,} tensors with {values:,} values; their places in the file match its header.{more}"


def _faults_beside(folder: Folder) -> Iterator[str]:
    """Yield what files of other programs do to those that load them: loaders have trusted such headers and paths."""
    for path in [path for path in folder.files if path.endswith((".gguf", ".onnx")) and path != folder.weights][:20]:
        with folder.files[path]() as file:
            if path.endswith(".onnx"):
                yield from (f"{path} has tensors in {place!r}" for place in _outside(file.read(MAX_ONNX)))
                continue
            try:
                gguf.read_whole(file)
            except GgufError as error:
                yield f"{path} is not a valid GGUF file: {error}"


def _outside(onnx: bytes) -> list[str]:
    """Return the places of an ONNX model's external data that are outside its folder."""
    values = {first or last for first, last in EXTERNAL.findall(onnx)}
    places = [value[1 : 1 + value[0]].decode("utf-8", "replace")[:120] for value in values]
    return sorted(place for place in places if OUTSIDE.search(place))


def size(folder: Folder) -> str | Finding:
    total = sum(source.size for source in folder.sources)
    if total <= LARGE_BYTES:
        return f"{total / 1e6:.1f} MB."
    return warned(
        f"The weights are {total / 1e9:.1f} GB, more than an adapter needs.",
        "Look for whole embeddings or base weights in the file, and save without them.",
        bytes=total,
    )


def license(folder: Folder) -> str | Finding:
    claimed = bases.stated_license(folder.card or {})
    if not claimed:
        return warned(
            "The card names no license, so nobody may use the adapter.", "Add license: to the top of README.md."
        )
    base, theirs = _base_license(folder)
    if duties := bases.conflict(claimed, theirs):
        return warned(
            f"The card says {claimed}, but the base {base[:120]} is under {theirs}, which requires of "
            f"derived works: {duties}.",
            f"Set license: {theirs} in README.md, or one that meets these terms. This is not legal advice.",
            license=claimed,
            base=base[:120],
            base_license=theirs,
        )
    return f"The license is {claimed[:60]}."


def _base_license(folder: Folder) -> tuple[str, str]:
    """Return the base, and its license as stated by the hub, else by the table of well-known bases."""
    if folder.base is not None:
        return folder.base.id, folder.base.license or bases.license_of(folder.base.id)
    try:
        name = folder.base_id or ""
    except (KeyError, ConfigError):
        return "", ""
    return name, bases.license_of(bases.full_precision(name) or name)


def base(folder: Folder) -> str | Finding:
    card_base = (folder.card or {}).get("base_model")
    if card_base:
        return f"The card names the base {str(card_base)[:120]}."
    name = folder.base_id or ""
    if name and not is_local_path(name):
        return f"The card names no base; the adapter's files name {name[:120]}."
    return warned(
        "Neither the card nor the adapter's files name a base model.",
        "Add base_model: org/name to the top of README.md.",
    )


def task(folder: Folder) -> str | Finding:
    tag = (folder.card or {}).get("pipeline_tag")
    if tag:
        return f"The task is {str(tag)[:60]}."
    if own := PIPELINE_TAGS.get(folder.stated_task or ""):
        return f"The card names no task; the adapter's files name {own}."
    return warned(
        "Neither the card nor the adapter's files name a task.",
        "Add pipeline_tag: to the top of README.md, such as text-generation.",
    )
