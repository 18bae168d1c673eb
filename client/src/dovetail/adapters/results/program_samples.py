"""Writes how programs of *Use* run a loaded version on one row, by its task; `programs` writes what is around it."""

from collections.abc import Callable, Mapping

from dovetail.adapters.results.usage import AdapterUsage

SENTENCES = ("The train leaves the station at seven in the morning.", "In autumn the days grow shorter.")
QUESTION = ("When does the train leave?", "The train to the coast leaves the station at seven in the morning.")
HIDDEN = ("The train leaves the ", " at seven in the morning.")
TOKENS = 24  # that are written
WIDTH = 100


def quoted(text: str) -> str:
    """Return a text as a literal of Python that shows every character that cannot be seen."""
    return repr(text) if '"' in text else f'"{repr(chr(39) + text)[2:]}'


def call(start: str, arguments: list[str], end: str = ")") -> list[str]:
    """Return a call in one line if it fits, else with an argument a line."""
    line = f"{start}{', '.join(arguments)}{end}"
    return [line] if len(line) <= WIDTH else [start, *(f"    {argument}," for argument in arguments), end]


def listed(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(map(quoted, texts))}]"


def peft_use(usage: AdapterUsage) -> list[str]:
    if usage.reads != "text" or usage.tokenizer == "none":
        return _sense_use(usage)
    return _TEXT_USES[usage.model](usage)


def _classified(usage: AdapterUsage) -> list[str]:
    texts = ", ".join(map(quoted, usage.sample or SENTENCES[:1]))
    return [
        f'inputs = tokenizer({texts}, return_tensors="pt")',
        "with torch.no_grad():",
        "    logits = model(**inputs).logits[0]",
        _label(usage),
    ]


def _label(usage: AdapterUsage) -> str:
    is_score = usage.labels == 1
    return "print(round(logits.item(), 3))" if is_score else "print(model.config.id2label[logits.argmax().item()])"


def tagged(usage: AdapterUsage, names: str = "model.config.id2label") -> list[str]:
    return [
        f"text = {quoted((usage.sample or SENTENCES)[0])}",
        'inputs = tokenizer(text, return_tensors="pt")',
        "with torch.no_grad():",
        f"    logits = model(**inputs).logits[0{_own_places(usage)}]",
        "starts = [at for at in range(len(text)) if not text[at].isspace() and (at == 0 or text[at - 1].isspace())]",
        "labels = [logits[inputs.char_to_token(at)].argmax().item() for at in starts]",
        f"print([{names}[label] for label in labels])",
    ]


def _own_places(usage: AdapterUsage) -> str:
    """Return the slice that leaves out the virtual tokens, which stand before the text's."""
    return ', -inputs["input_ids"].shape[1] :' if usage.virtual_tokens else ""


def _questioned(usage: AdapterUsage) -> list[str]:
    question, context = usage.sample if len(usage.sample) == 2 else QUESTION
    own = f"[0{_own_places(usage)}]"
    return [
        f"question = {quoted(question)}",
        f"context = {quoted(context)}",
        'inputs = tokenizer(question, context, return_tensors="pt")',
        "with torch.no_grad():",
        "    answer = model(**inputs)",
        f"start, end = answer.start_logits{own}.argmax(), answer.end_logits{own}.argmax()",
        'print(tokenizer.decode(inputs["input_ids"][0, start : end + 1]))',
    ]


def _continued(usage: AdapterUsage) -> list[str]:
    text = quoted((usage.sample or SENTENCES)[0])
    inputs = [f'inputs = tokenizer({text}, return_tensors="pt")']
    if usage.has_chat_template:
        inputs = [
            f'messages = [{{"role": "user", "content": {text}}}]',
            "inputs = tokenizer.apply_chat_template(",
            '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"',
            ")",
        ]
    return [
        *inputs,
        f"ids = model.generate(**inputs, max_new_tokens={TOKENS}, do_sample=False)",
        'print(tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))',
    ]


def _rewritten(usage: AdapterUsage) -> list[str]:
    return [
        f'inputs = tokenizer({quoted((usage.sample or SENTENCES)[0])}, return_tensors="pt")',
        f"ids = model.generate(**inputs, max_new_tokens={TOKENS}, do_sample=False)",
        "print(tokenizer.decode(ids[0], skip_special_tokens=True))",
    ]


def _filled(usage: AdapterUsage) -> list[str]:
    before, after = HIDDEN
    return [
        f"text = {quoted(before)} + tokenizer.mask_token + {quoted(after)}",
        'inputs = tokenizer(text, return_tensors="pt")',
        "with torch.no_grad():",
        f"    logits = model(**inputs).logits[0{_own_places(usage)}]",
        'at = inputs["input_ids"][0].tolist().index(tokenizer.mask_token_id)',
        "print(tokenizer.decode(logits[at].argmax()))",
    ]


def _embedded(usage: AdapterUsage) -> list[str]:
    one, other = usage.sample if len(usage.sample) == 2 else SENTENCES
    return [
        "def vector(text):",
        '    inputs = tokenizer(text, return_tensors="pt")',
        "    with torch.no_grad():",
        f"        return model(**inputs).last_hidden_state[0{_own_places(usage)}].mean(0)",
        "",
        *call("pair = [", [f"vector({quoted(text)})" for text in (one, other)], "]"),
        "print(round(torch.cosine_similarity(*pair, dim=0).item(), 3))",
    ]


_TEXT_USES: Mapping[str, Callable[[AdapterUsage], list[str]]] = {
    "AutoModelForSequenceClassification": _classified,
    "AutoModelForTokenClassification": tagged,
    "AutoModelForQuestionAnswering": _questioned,
    "AutoModelForCausalLM": _continued,
    "AutoModelForImageTextToText": _continued,
    "AutoModelForSeq2SeqLM": _rewritten,
    "AutoModelForMaskedLM": _filled,
    "AutoModel": _embedded,
}


# --- pictures, sound, and bases without a tokenizer ------------------------------------------------------------------
TONE = (
    "rate = extractor.sampling_rate",
    "# A second of a tone: put your recording here.",
    "sound = torch.sin(torch.arange(rate) * 440 * 6.283 / rate).numpy()",
)


def _sense_use(usage: AdapterUsage) -> list[str]:
    inputs = _sense_inputs(usage)
    run = ["with torch.no_grad():", "    answer = model(**inputs)"]
    if not inputs:
        return ["print(type(model).__name__)"]
    if usage.model == "AutoModelForSpeechSeq2Seq" and usage.reads == "input_features":
        return [
            *inputs,
            f"ids = model.generate(**inputs, max_new_tokens={TOKENS}, do_sample=False)",
            _heard(usage, "ids"),
        ]
    if usage.model == "AutoModelForCTC":
        return [*inputs, *run, _heard(usage, "answer.logits.argmax(-1)")]
    if usage.labels:
        return [*inputs, *run, "logits = answer.logits[0]", _label(usage)]
    return [*inputs, *run, "print(tuple(answer[0].shape))"]


def _heard(usage: AdapterUsage, ids: str) -> str:
    if usage.tokenizer == "none":
        return f"print({ids}[0].tolist())"
    return f"print(tokenizer.decode({ids}[0], skip_special_tokens=True))"


def _sense_inputs(usage: AdapterUsage) -> list[str]:
    shape = ", ".join(f"{size:.0f}" for size in (1, *usage.shape))
    if usage.reads == "pixel_values":
        hint = "# In place of a picture: AutoImageProcessor of the base makes such numbers of yours."
        return [hint, f'inputs = {{"pixel_values": torch.zeros({shape})}}']
    if usage.hears:
        return [*TONE, 'inputs = extractor(sound, sampling_rate=rate, return_tensors="pt")']
    if usage.reads in ("input_features", "input_values"):
        hint = "# In place of sound: the feature extractor of the base makes such numbers of yours."
        return [hint, f'inputs = {{"{usage.reads}": torch.zeros({shape})}}']
    if usage.reads in ("text", "ids") and usage.model != "AutoModelForQuestionAnswering":
        return [
            "# The base has no tokenizer here: these are ids of tokens.",
            'inputs = {"input_ids": torch.tensor([[1, 2, 3, 4]])}',
        ]
    return []


# --- pipelines -------------------------------------------------------------------------------------------------------
PIPELINES = {
    "AutoModelForSequenceClassification": "text-classification",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForCausalLM": "text-generation",
    "AutoModelForMaskedLM": "fill-mask",
}
OF_SOUND = {
    "AutoModelForSpeechSeq2Seq": "automatic-speech-recognition",
    "AutoModelForCTC": "automatic-speech-recognition",
    "AutoModelForAudioClassification": "audio-classification",
}


def has_pipeline(usage: AdapterUsage) -> bool:
    """Return whether transformers 5 has a pipeline for the task and the base what it needs.

    It has none any more for sequence to sequence and for answers to questions.
    """
    if usage.sees:
        return usage.model == "AutoModelForImageClassification" and usage.labels > 1
    if usage.hears:
        task = OF_SOUND.get(usage.model, "")
        return usage.labels > 1 if task == "audio-classification" else bool(task) and usage.tokenizer != "none"
    is_text = usage.reads == "text" and usage.tokenizer != "none" and usage.model in PIPELINES
    return is_text and len(usage.sample) < 2  # not every pipeline takes a pair


def pipeline_use(usage: AdapterUsage) -> list[str]:
    if usage.sees:
        return [
            'pipe = pipeline("image-classification", model=model, image_processor=processor)',
            'picture = Image.new("RGB", (256, 256))  # put yours here: Image.open("my.jpg")',
            'print(pipe(picture)[0]["label"])',
        ]
    return _sound_pipeline(usage) if usage.hears else _text_pipeline(usage)


def _sound_pipeline(usage: AdapterUsage) -> list[str]:
    task = OF_SOUND[usage.model]
    tokenizer = [] if task == "audio-classification" else ["tokenizer=tokenizer"]
    parts = [quoted(task), "model=model", *tokenizer, "feature_extractor=extractor"]
    said = '[0]["label"]' if task == "audio-classification" else '["text"]'
    limit = f', generate_kwargs={{"max_new_tokens": {TOKENS}}}' if usage.model == "AutoModelForSpeechSeq2Seq" else ""
    heard = f'pipe({{"raw": sound, "sampling_rate": rate}}{limit}){said}'
    return [*call("pipe = pipeline(", parts), *TONE, f"print({heard})"]


def _text_pipeline(usage: AdapterUsage) -> list[str]:
    task = PIPELINES[usage.model]
    text = quoted((usage.sample or SENTENCES)[0])
    make = f"pipe = pipeline({quoted(task)}, model=model, tokenizer=tokenizer)"
    if task == "text-classification" and usage.labels == 1:
        return [make, f'print(pipe({text}, function_to_apply="none")[0])']
    if task == "text-classification":
        return [make, f'print(pipe({text})[0]["label"])']
    if task == "token-classification":
        found = f'[(part["word"], part["entity_group"]) for part in pipe({text}, aggregation_strategy="simple")]'
        return [make, f"print({found})"]
    if task == "fill-mask":
        before, after = map(quoted, HIDDEN)
        return [make, f'print(pipe({before} + tokenizer.mask_token + {after})[0]["token_str"])']
    if usage.has_chat_template:
        messages = f'[{{"role": "user", "content": {text}}}]'
        said = f'pipe({messages}, max_new_tokens={TOKENS}, do_sample=False)[0]["generated_text"][-1]["content"]'
        return [make, f"print({said})"]
    options = f"max_new_tokens={TOKENS}, do_sample=False, return_full_text=False"
    return [make, f'print(pipe({text}, {options})[0]["generated_text"])']
