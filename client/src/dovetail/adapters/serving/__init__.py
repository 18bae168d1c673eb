"""Tells which engines serve an adapter, with their flags, and which serve it wrongly; from config and header alone."""

from collections.abc import Mapping

from dovetail.adapters.files.header import Opener
from dovetail.adapters.results.report import Serving
from dovetail.adapters.serving.diffusers import DIFFUSERS
from dovetail.adapters.serving.llama_cpp import LLAMA_CPP
from dovetail.adapters.serving.lorax import LORAX
from dovetail.adapters.serving.mlx import MLX
from dovetail.adapters.serving.peft import PEFT_13, PEFT_14, PEFT_18
from dovetail.adapters.serving.rules import Engine, Rule, ask
from dovetail.adapters.serving.sglang import SGLANG
from dovetail.adapters.serving.subject import UNKNOWN, Base, Subject, subject_of
from dovetail.adapters.serving.tgi import TGI
from dovetail.adapters.serving.vllm import VLLM

__all__ = ["ENGINES", "Base", "Engine", "Rule", "Subject", "serving", "serving_of"]

ENGINES: tuple[Engine, ...] = (VLLM, SGLANG, LORAX, TGI, LLAMA_CPP, MLX, DIFFUSERS, PEFT_18, PEFT_14, PEFT_13)


def serving(subject: Subject) -> list[Serving]:
    """Apply the rules of every engine."""
    return [ask(engine, subject) for engine in ENGINES]


def serving_of(files: Mapping[str, Opener], *, base: Base = UNKNOWN) -> list[Serving]:
    """Apply the rules of every engine to the adapter in files; return [] if its files cannot be read."""
    subject = subject_of(files, base=base)
    return serving(subject) if subject is not None else []
