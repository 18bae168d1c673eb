"""Recognises secrets in files by their content: access tokens, passwords of services and private keys, in any text."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dovetail.adapters.files.header import Opener

MAX_FILE_BYTES, MAX_BYTES, MAX_FILES = 5 << 20, 64 << 20, 2000  # of one text, of all texts, and files that are opened
START_BYTES = 8 << 10  # in which a file that is no text has a zero
MAX_OF_FILE = 20  # places of one kind that are told
WORD = r"[A-Za-z0-9_\-]"
# Values of documentation and of templates; a value of `aaaa` may be one, and may be none.
PLACEHOLDER = re.compile(
    r"example|placeholder|your|x{6}|\*{3}|redacted|changeme|dummy|0123456789|1234567890|abcdefghij", re.IGNORECASE
)
ESCAPE = re.compile(r'\\[nrt"]')  # in a string of JSON, of a notebook or of code


@dataclass(frozen=True, slots=True)
class Secret:
    """A kind of secret. One of `marks` is in each text that holds it; none: the pattern is always looked for.

    A group of the pattern is the secret, where the pattern also names its place.
    """

    kind: str
    pattern: re.Pattern[str]
    marks: tuple[str, ...] = ()


def _secret(kind: str, pattern: str, *marks: str) -> Secret:
    return Secret(kind, re.compile(pattern), marks)


SECRETS = (
    _secret("a Hugging Face token", r"\bhf_[A-Za-z0-9]{30,40}\b", "hf_"),
    _secret("a Dovetail token", r"\bdvt_[A-Za-z0-9]{32}\b", "dvt_"),
    _secret("a Dovetail token of a directory", rf"\bdvs_{WORD}{{43}}(?!{WORD})", "dvs_"),
    _secret("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{82})\b", "gh", "github_pat_"),
    _secret("an AWS key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", "AKIA", "ASIA"),
    _secret("a Google key", rf"\b(?:AIza{WORD}{{35}}|GOCSPX-{WORD}{{28}})(?!{WORD})", "AIza", "GOCSPX-"),
    _secret(
        "an Azure key",
        r"\bAccountKey=[A-Za-z0-9+/]{86}==|(?<![\w~.\-])[\w~.\-]{3}8Q~[\w~.\-]{31,34}(?![\w~.\-])",
        "AccountKey=",
        "8Q~",
    ),
    _secret(
        "a Slack token",
        r"\b(?:xox[abeprs]-[A-Za-z0-9\-]{20,200}|xapp-\d-[A-Z0-9]{8,20}-\d{8,20}-[a-f0-9]{64})\b",
        "xox",
        "xapp-",
    ),
    _secret(
        "a Slack webhook",
        r"hooks\.slack\.com/services/(T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{24})\b",
        "hooks.slack.com",
    ),
    _secret("a GitLab token", rf"\bgl(?:pat|dt|rt|ptt|cbt|agent)-{WORD}{{20,60}}", "gl"),
    _secret("an AWS secret key", r"(?i:aws_?secret_?access_?key)\W{1,5}([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"),
    _secret("an Anthropic key", rf"\bsk-ant-{WORD}{{32,200}}", "sk-ant-"),
    _secret(  # words between hyphens are the name of a model
        "an API key",
        rf"(?<!{WORD})sk-(?!ant-)(?={WORD}{{0,120}}\d)(?={WORD}{{0,120}}?\w{{18}}){WORD}{{32,200}}(?!{WORD})",
        "sk-",
    ),
    _secret("a Weights & Biases key", r"(?i:wandb_api_key|api\.wandb\.ai)[^\n]{0,60}?\b([0-9a-f]{40})\b"),
    _secret("a Stripe key", r"\b(?:(?:sk|rk)_live_[A-Za-z0-9]{20,120}|whsec_[A-Za-z0-9]{32,64})\b", "_live_", "whsec_"),
    _secret("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b", "npm_"),
    _secret("a PyPI token", rf"\bpypi-AgE{WORD}{{50,250}}", "pypi-AgE"),
    _secret("a Twilio key", r"\bSK[0-9a-f]{32}\b|(?i:twilio_auth_token)\W{1,5}([0-9a-f]{32})\b"),
    _secret("a SendGrid key", rf"\bSG\.{WORD}{{22}}\.{WORD}{{43}}(?!{WORD})", "SG."),
    _secret("a Telegram token", rf"(?<!\w)\d{{8,10}}:AA{WORD}{{33}}(?!{WORD})", ":AA"),
    _secret("a Databricks token", r"\bdapi[0-9a-f]{32}\b", "dapi"),
    _secret("a DigitalOcean token", r"\bdo[opr]_v1_[0-9a-f]{64}\b", "_v1_"),
    _secret("a Docker token", rf"\bdckr_(?:pat|oat)_{WORD}{{27,32}}(?!{WORD})", "dckr_"),
    _secret("a Groq key", r"\bgsk_[A-Za-z0-9]{52}\b", "gsk_"),
    _secret("an NVIDIA key", rf"\bnvapi-{WORD}{{60,70}}(?!{WORD})", "nvapi-"),
    _secret("a Replicate token", r"\br8_[A-Za-z0-9]{37}\b", "r8_"),
    _secret(
        "a private key",
        r"-----BEGIN [A-Z0-9 ]{0,20}PRIVATE KEY(?: BLOCK)?-----(?![\s,]{0,20}(?:\.\.\.|…|<|\[|\{))(?![\"'`)])",
        "-----BEGIN ",
    ),
)


def secrets_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and kind of the secrets in a text: the first of each line, at most MAX_OF_FILE of a kind.

    The time grows with the length of the text alone.
    """
    text = ESCAPE.sub("  ", text)  # as long as before: a token behind `\\n` begins a word
    for secret in SECRETS:
        if not secret.marks or any(mark in text for mark in secret.marks):
            for line, _ in lines_with(secret.pattern, text, but=PLACEHOLDER):
                yield line, secret.kind


def lines_with(pattern: re.Pattern[str], text: str, *, but: re.Pattern[str] | None = None) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of the first match of each line, at most MAX_OF_FILE; none that has `but` in it."""
    line, start, lines = 1, 0, 0
    for match in pattern.finditer(text):
        if but and but.search(match[match.lastindex or 0]):
            continue
        newlines = text.count("\n", start, match.start())
        start = match.start()  # always: from the beginning of a long line it would be counted again for each match
        if newlines or not lines:
            line, lines = line + newlines, lines + 1
            yield line, match[0]
            if lines >= MAX_OF_FILE:
                return


@dataclass(slots=True)
class Search:
    """A search of files for secrets: how much text was read, and which files were not."""

    files: int = 0
    size: int = 0
    binary: int = 0
    large: int = 0
    late: int = 0  # behind as many files, or bytes, as are read

    def texts(self, openers: Mapping[str, Opener], sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """Yield path and text of each file that is text; only the start of others is read."""
        for path in sorted(openers):
            if self.files + self.binary >= MAX_FILES or self.size >= MAX_BYTES:
                self.late += 1
                continue
            with openers[path]() as file:
                start = file.read(START_BYTES)
                if (encoding := _encoding(start)) is None:
                    self.binary += 1
                    continue
                if sizes[path] > MAX_FILE_BYTES:
                    self.large += 1
                    continue
                data = start + file.read(MAX_FILE_BYTES)
            self.files, self.size = self.files + 1, self.size + len(data)
            yield path, data.decode(encoding, "replace")

    def __str__(self) -> str:
        """Return what was looked at, and what was not, in words."""
        size = f"{self.size / 1e6:.1f} MB" if self.size >= 100_000 else f"{self.size / 1e3:.1f} kB"
        looked = f"{self.files:,} {'file' if self.files == 1 else 'files'}, {size} of text"
        left = [f"{self.binary:,} binary {'file' if self.binary == 1 else 'files'}"] if self.binary else []
        left += [f"{self.large:,} of over {MAX_FILE_BYTES >> 20} MB"] if self.large else []
        left += [f"{self.late:,} after the first {MAX_FILES:,} or {MAX_BYTES >> 20} MB"] if self.late else []
        if not left:
            return looked
        return f"{looked}; {' and '.join(left)} {'was' if self.binary + self.large + self.late == 1 else 'were'} not"


def _encoding(start: bytes) -> str | None:
    """Return the encoding of a text that begins so; None for what is none: a text holds no zero, but UTF-16 does."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" not in start:
        return "utf-8"
    for encoding, zeros, others in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
        if zeros.count(0) > 0.9 * len(zeros) and 0 not in others:
            return encoding
    return None
