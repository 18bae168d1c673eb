"""Asking for another form of a version, and for a merge of several."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from dovetail.adapters.merge import MAX_RANK, MAX_SOURCES, Recipe
from hub.site.forms import Form, Option, Refusals, choice_field, name_field
from registry.kernel.errors import (
    NotAllowed,
    RegistryError,
    RepositoryNotFound,
    RevisionNotFound,
    UpstreamReadOnly,
    ValueInvalid,
)

MORE_ROWS = 2
MAX_SEED = 2**31 - 1

FORMS = {
    "peft": "PEFT",
    "kohya": _("kohya, for image programs"),
    "diffusers": "diffusers",
    "mlx": _("MLX, for mlx-lm"),
    "gguf": _("GGUF, for llama.cpp"),
    "safetensors": _("safetensors in place of .bin"),
    "bin": _(".bin, as torch.save writes it"),
    "fp16": _("fp16, half precision"),
    "bf16": _("bf16, half precision"),
    "slim": _("slim, without copies of the base's embeddings"),
    "peft-lora": _("LoRA of a rank, of any method of PEFT"),
}

METHODS = [
    ("linear", Option("Linear", _("The weighted sum; adapters of one rank."))),
    ("cat", Option("Cat", _("The exact sum; its rank is the sum of the ranks."))),
    ("svd", Option("SVD", _("The best sum of the rank that you choose."))),
    (
        "ties",
        Option("TIES", _("Keeps the largest values, and averages those whose signs agree; adapters of one rank.")),
    ),
    (
        "dare_linear",
        Option("DARE linear", _("Drops a random share, enlarges the rest, adds; adapters of one rank.")),
    ),
    (
        "dare_ties",
        Option("DARE TIES", _("Drops a random share, enlarges the rest, then as TIES; adapters of one rank.")),
    ),
]


def weight_field() -> forms.FloatField:
    widget = forms.NumberInput(attrs={"step": "any"})
    return forms.FloatField(label=_("Weight"), required=False, initial=1, widget=widget)


class Derive(Form):
    to = forms.CharField(
        label=_("Form"),
        help_text=_("Without loss, or refused with the reason; fp16 and bf16 tell their largest error."),
        widget=forms.Select,
        required=False,
    )
    alpha = forms.FloatField(
        label=_("Alpha"),
        help_text=_("A file of loralib does not say it. Empty: `lora_alpha` of the card."),
        required=False,
        widget=forms.NumberInput(attrs={"step": "any", "min": 0}),
    )
    rank = forms.IntegerField(
        label=_("Rank"),
        help_text=_("Of a LoRA that is made of another method; what it loses is told."),
        required=False,
        widget=forms.NumberInput(attrs={"min": 1, "max": MAX_RANK}),
    )
    enable_lora = name_field(
        _("Adapted parts"),
        _("Of merged linears, as GPT-2's: `true,false,true` for q and v. Empty: `enable_lora` of the card."),
        maxlength=48,
        required=False,
    )
    into = name_field(
        _("Into"),
        _("The id of a repository whose next version it becomes. Empty: a branch of this one."),
        maxlength=200,
        required=False,
    )
    fields_of: ClassVar[Refusals] = {
        RepositoryNotFound: "into",
        NotAllowed: "into",
        UpstreamReadOnly: "into",
        ValueInvalid: "to",
    }

    def __init__(self, *args: Any, formats: Sequence[str], has_branch: bool, family: str, **options: Any) -> None:
        """`family`: the source's format. `has_branch`: the person may write there: the result may be a branch."""
        super().__init__(*args, **options)
        self.formats = formats
        if family != "loralib":
            del self.fields["alpha"], self.fields["enable_lora"]
        if not has_branch:
            into = self.fields["into"]
            into.help_text = "The id of an adapter of yours whose next version it becomes."
            into.widget.attrs["required"] = True
        if "peft-lora" not in formats and family != "lycoris":
            del self.fields["rank"]
        widget = self.fields["to"].widget
        assert isinstance(widget, forms.Select)
        widget.choices = [(name, FORMS.get(name, name)) for name in formats]


class Merge(Form):
    weight = weight_field()
    method = choice_field(_("Method"), METHODS, METHODS[0][0])
    density = forms.FloatField(
        label=_("Density"),
        help_text=_("TIES and DARE: the share of values that is kept."),
        required=False,
        initial=1,
        widget=forms.NumberInput(attrs={"step": "any", "min": 0, "max": 1}),
    )
    rank = forms.IntegerField(
        label=_("Rank"),
        help_text=_("SVD; 0 for the largest."),
        required=False,
        initial=0,
        widget=forms.NumberInput(attrs={"min": 0, "max": MAX_RANK}),
    )
    seed = forms.IntegerField(
        label=_("Seed"),
        help_text=_("DARE: the same seed drops the same values."),
        required=False,
        initial=0,
        min_value=0,
        max_value=MAX_SEED,
    )
    head = name_field(
        _("Head"),
        _("Of adapters with trained heads, as classifiers: the id of the one whose head is kept, or `average`."),
        maxlength=200,
        required=False,
    )
    into = name_field(_("Result"), _("The id of an adapter whose next version it becomes: `you/both`."), maxlength=200)
    fields_of: ClassVar[Refusals] = {RepositoryNotFound: "into", NotAllowed: "into", UpstreamReadOnly: "into"}

    @property
    def recipe(self) -> Recipe:
        """The method and its numbers; a field that was left empty has its usual value."""
        typed = {name: self.cleaned_data[name] for name in ("method", "density", "rank", "seed")}
        return Recipe(**{name: value for name, value in typed.items() if value not in (None, "")})


class MergeSource(Form):
    """Another adapter of a merge; a row without its name counts as empty."""

    adapter = name_field(_("Adapter"), maxlength=200, placeholder="acme/two", required=False)
    revision = name_field(_("Version"), maxlength=200, placeholder="main", required=False)
    weight = weight_field()
    fields_of: ClassVar[Refusals] = {RevisionNotFound: "revision"}

    def field_of(self, refusal: RegistryError) -> str | None:
        return super().field_of(refusal) or "adapter"


MergeSources = forms.formset_factory(
    MergeSource, extra=MORE_ROWS, max_num=MAX_SOURCES - 1, absolute_max=MAX_SOURCES - 1
)
