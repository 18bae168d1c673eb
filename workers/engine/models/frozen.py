"""The frozen base of an engine: its models by task, their shapes, and the proof that they have not changed."""

import hashlib
import inspect
from pathlib import Path
from typing import Any

import torch
import transformers

from dovetail.adapters.formats import tokens
from dovetail.adapters.methods import task_of_class
from dovetail.adapters.readers.composition import Composition
from dovetail.adapters.readers.folder import Base, files_in, opener_of
from dovetail.adapters.shapes.fit import Shape
from workers.engine.models import composition, library, structure
from workers.engine.models.device import NOISE
from workers.engine.models.restoration import remember, same
from workers.engine.models.structure import Place, manifest, places

CLASSES = {
    "SEQ_CLS": transformers.AutoModelForSequenceClassification,
    "TOKEN_CLS": transformers.AutoModelForTokenClassification,
    "QUESTION_ANS": transformers.AutoModelForQuestionAnswering,
    "CAUSAL_LM": transformers.AutoModelForCausalLM,
    "SEQ_2_SEQ_LM": transformers.AutoModelForSeq2SeqLM,
    "FEATURE_EXTRACTION": transformers.AutoModel,
    "MASKED_LM": transformers.AutoModelForMaskedLM,
    "IMAGE_CLS": transformers.AutoModelForImageClassification,
    "CTC": transformers.AutoModelForCTC,
}
# For architectures that the first class does not have: decoders that read pictures too, and models that hear.
OTHER_CLASSES = {
    "CAUSAL_LM": transformers.AutoModelForImageTextToText,
    "SEQ_2_SEQ_LM": transformers.AutoModelForSpeechSeq2Seq,
    "SEQ_CLS": transformers.AutoModelForAudioClassification,
}
WITH_LABELS = ("SEQ_CLS", "TOKEN_CLS", "IMAGE_CLS")
MAX_LABELS = 4096
MAX_MODELS = 8


class Frozen:
    """A base in memory, in one dtype and in evaluation mode. All models share the weights they have in common.

    It is loaded into the host's memory; a process that may talk to a device takes it there with `move`.
    """

    def __init__(self, folder: Path, base_id: str, dtype: torch.dtype = torch.float32) -> None:
        """Loads safetensors only: a base with nothing but pickles raises `OSError`."""
        self.folder, self.id, self.dtype, self.device = folder, base_id, dtype, torch.device("cpu")
        self.config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        self.sha256 = _digest(folder)
        self.cannot_run = ""  # the reason why none of our rows can be given to it
        self.tokenizer = _tokenizer(folder)
        self.refuses_inputs = False  # its tokenizer gives more than the model takes
        self._models: dict[tuple[str, int], torch.nn.Module] = {}
        self._drawn: dict[tuple[str, int], frozenset[str]] = {}
        self._pristine: dict[int, torch.Tensor] = {}
        self._facts: dict[tuple[str, int], Base] = {}
        self.backbone = self.model("FEATURE_EXTRACTION")
        if self.tokenizer is not None:  # it may return token_type_ids for a model that does not accept them
            parameters = inspect.signature(self.backbone.forward).parameters
            names = self.tokenizer.model_input_names
            self.tokenizer.model_input_names = [name for name in names if name in parameters]
            self.refuses_inputs = self.tokenizer.model_input_names != names

    @property
    def attention(self) -> str:
        """The attention implementation, as transformers chooses it: sdpa if the architecture has it."""
        return str(getattr(self.backbone.config, "_attn_implementation", None) or "eager")

    @property
    def noise(self) -> float:
        """The rounding error of this dtype, relative to the largest output."""
        return NOISE[self.dtype]

    @property
    def own_task(self) -> str:
        """The task of the base's own model."""
        names = self.config.architectures or [""]
        if names[0].endswith(("ForCausalLM", "LMHeadModel")):
            return "CAUSAL_LM"
        if names[0].endswith("ForConditionalGeneration"):  # also models that read images with a decoder alone
            task = "SEQ_2_SEQ_LM" if getattr(self.config, "is_encoder_decoder", False) else "CAUSAL_LM"
            return task if self.has(task) else "FEATURE_EXTRACTION"
        return "FEATURE_EXTRACTION"

    @property
    def head_task(self) -> str | None:
        """The task of the base's own head, of any kind; None if its architecture's name does not tell."""
        return task_of_class((self.config.architectures or [""])[0])

    @property
    def picture(self) -> tuple[int, int, int] | None:
        """The channels, height and width of an input picture; None for a base that reads text."""
        if self.backbone.main_input_name != "pixel_values":
            return None
        return structure.picture_of(self.config)

    @property
    def senses(self) -> structure.Shapes:
        """The inputs of a base that hears, or reads and sees at once; {} for one that reads or sees alone."""
        return structure.shapes_of(self.backbone)

    def meant(self, task: str | None) -> str | None:
        """Return the task of this base that a class of transformers stands for.

        Many a decoder that reads pictures too is called ForConditionalGeneration, as encoder-decoders are.
        """
        writes_alone = self.own_task == "CAUSAL_LM" and self.head_task == "SEQ_2_SEQ_LM"
        return "CAUSAL_LM" if task == "SEQ_2_SEQ_LM" and writes_alone else task

    def labels(self, task: str) -> int:
        """Return the number of labels of a head that no file describes: as many as the base's own head has, else 2."""
        return int(self.config.num_labels) if task == self.head_task else 2

    def has(self, task: str) -> bool:
        """Return whether transformers has a model of this architecture for the task."""
        if task == library.TASK and not library.IS_HERE:
            return False
        return type(self.config) in class_of(task, self.config)._model_mapping

    def model(self, task: str, labels: int = 2) -> torch.nn.Module:
        """Return the model for a task, kept for the next adapter. A new head is untrained and always the same."""
        key = (task, labels if task in WITH_LABELS else 0)
        if key not in self._models:
            while len(self._models) >= MAX_MODELS:  # the backbone stays: it is the first, and others share its weights
                self._forget(next(key for key in self._models if key[0] != "FEATURE_EXTRACTION"))
            self._models[key] = self._load(*key)
        return self._models[key]

    def drawn(self, task: str, labels: int = 2) -> frozenset[str]:
        """Return the names of a model's weights that the base's files do not have: each load draws them at random."""
        self.model(task, labels)
        return self._drawn[task, labels if task in WITH_LABELS else 0]

    def _forget(self, key: tuple[str, int]) -> None:
        """Drop a model and the originals of its own weights, whose memory will be reused."""
        del self._models[key]
        self._facts.pop(key, None)
        used = {table[name].data_ptr() for model in self._models.values() for table, name, _ in places(model)}
        self._pristine = {at: tensor for at, tensor in self._pristine.items() if at in used}

    def _load(self, task: str, labels: int) -> torch.nn.Module:
        torch.manual_seed(0)
        # The base's own head may have another number of labels.
        sizes = {"num_labels": labels, "ignore_mismatched_sizes": True} if labels else {}
        model, loaded = class_of(task, self.config).from_pretrained(
            self.folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=self.dtype,
            output_loading_info=True,
            **sizes,
        )
        self._drawn[task, labels] = frozenset(
            [*loaded["missing_keys"], *(name for name, *_ in loaded["mismatched_keys"])]
        )
        if task != "FEATURE_EXTRACTION":
            self._share(model)
        model.requires_grad_(False).eval()
        if self.tokenizer is not None and getattr(model.config, "pad_token_id", None) is None:
            model.config.pad_token_id = self.tokenizer.pad_token_id or 0
        self._own(model)
        return model

    def _share(self, model: Any) -> None:
        own = dict(self.backbone.named_parameters())
        part = getattr(model, model.base_model_prefix, model)
        for name, parameter in part.named_parameters():
            if name not in own or own[name].shape != parameter.shape:
                continue
            if torch.equal(self._pristine[own[name].data_ptr()], parameter):
                parameter.data = own[name].data

    def _own(self, model: torch.nn.Module) -> None:
        """Copy new weights out of the mapped file, which could change while we use it, and keep a second copy."""
        for table, name, _ in places(model):
            if table[name].data_ptr() not in self._pristine:
                original = table[name].detach().clone()
                table[name].data = table[name].detach().clone().to(self.device)
                self._pristine[table[name].data_ptr()] = original
                remember(original, table[name])

    def move(self, device: torch.device) -> None:
        """Move all models to a device; the original weights stay in host memory."""
        self.device, moved, pristine = device, {}, {}
        for table, name, _ in (place for model in self._models.values() for place in places(model)):
            at = table[name].data_ptr()
            if at not in self._pristine:  # already moved under another name
                continue
            if at not in moved:
                moved[at] = table[name].data.to(device)
                pristine[moved[at].data_ptr()] = self._pristine[at]
                remember(self._pristine[at], moved[at])
            table[name].data = moved[at]
        self._pristine = pristine

    def originals(self, model: torch.nn.Module) -> list[tuple[Place, torch.Tensor]]:
        """Return the place of each weight of a model and its value; call it before an adapter is loaded."""
        return [(place, self._pristine[place[0][place[1]].data_ptr()]) for place in places(model)]

    def is_intact(self) -> bool:
        """Return whether every weight in memory equals the loaded one bit for bit."""
        models = self._models.values()
        return all(
            same(table[name], self._pristine[table[name].data_ptr()]) for m in models for table, name, _ in places(m)
        )

    def facts(self, task: str, labels: int) -> Base:
        """Return the shapes of the base with the head of that task; forked children inherit the cached ones."""
        key = (task, labels if task in WITH_LABELS else 0)
        if key not in self._facts:
            self._facts[key] = self._measure(*key)
        return self._facts[key]

    def _measure(self, task: str, labels: int) -> Base:
        config = transformers.AutoConfig.from_pretrained(self.folder, local_files_only=True)
        if labels:
            config.num_labels = labels
        with torch.device("meta"):
            of_shapes = class_of("FEATURE_EXTRACTION" if task == library.TASK else task, config)
            model = of_shapes.from_config(config, trust_remote_code=False)
        weights = self.folder / "model.safetensors"
        opener = opener_of(weights) if weights.exists() else None
        text, files = self.config.get_text_config(), files_in(self.folder)
        return Base(
            self.id,
            manifest(model),
            int(getattr(text, "vocab_size", 0) or 0),
            opener,
            self.config.model_type,
            int(getattr(text, "hidden_size", 0) or 0),
            (lambda folder: _expected(self.model(task), folder)) if task == library.TASK else None,
            head_task=self.head_task,
            tokens=_last_token(self.tokenizer) + 1,
            chat_template=tokens.chat_template(files),
            architectures=tuple(self.config.architectures or ()),
            token_names=tokens.names(files),
            token_ids=self.tokenizer.get_vocab if self.tokenizer is not None else None,
        )


def _expected(model: Any, folder: Any) -> dict[str, Shape]:
    composed = isinstance(folder, Composition)
    return composition.expected(model, folder) if composed else library.expected(model, folder)


def class_of(task: str, config: Any) -> Any:
    """Return the class of transformers that makes the model for a task."""
    if task == library.TASK:
        return library.model_class()
    other = OTHER_CLASSES.get(task)
    is_other = other is not None and type(config) in other._model_mapping
    return other if is_other and type(config) not in CLASSES[task]._model_mapping else CLASSES[task]


def _tokenizer(folder: Path) -> Any:
    """Return the base's tokenizer, or None if it has none."""
    if not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json")):
        return None
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except ValueError:  # transformers 5 wrote a class into the config that transformers 4 does not have
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    tokenizer.padding_side = "right"
    return tokenizer


def _last_token(tokenizer: Any) -> int:
    return max(tokenizer.get_vocab().values(), default=-1) if tokenizer is not None else -1


def _digest(folder: Path) -> str:
    """Return the sha256 of the weights: of the one file, or of the sorted list of all shards' "sha256  name"."""
    files = sorted(folder.glob("model*.safetensors"))
    digests = [(hashlib.file_digest(path.open("rb"), "sha256").hexdigest(), path.name) for path in files]
    if len(digests) == 1:
        return digests[0][0]
    return hashlib.sha256("".join(f"{digest}  {name}\n" for digest, name in digests).encode()).hexdigest()
