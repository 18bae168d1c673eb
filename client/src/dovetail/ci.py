"""`python -m dovetail.ci PATH NS/NAME`: one job of a CI: check, push without a secret, wait, gate, and report.

The hub is DOVETAIL_ENDPOINT or HF_ENDPOINT. Where no token is set, the job's identity token is exchanged for one: that
of HF_OIDC_ID_TOKEN, or the one that GitHub's runner hands out. It exits like `dovetail push --wait`.
"""

import argparse
import os
import sys
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from dovetail import places, verdicts
from dovetail.api import client
from dovetail.commands.verdict_commands import status_of
from dovetail.problems import DONE, FORBIDDEN, LOCAL, Problem, local_files
from dovetail.transport import FORM, ask, json_object

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  # the name of a kind of token
SECONDS = 30


def main(words: list[str] | None = None) -> int:
    """Do the job and return the exit status."""
    options = _parser().parse_args(words)
    try:
        return _publish(options)
    except Problem as problem:
        _say(f"dovetail: {problem.detail}\n  {problem.fix}".rstrip())
        _annotate("error", problem.detail)
        return problem.exit_status
    except OSError as error:
        _say(f"dovetail: {local_files(error).detail}")
        return LOCAL


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dovetail.ci", description=__doc__.split("\n")[0])
    parser.add_argument("path", type=Path, help="the folder with the adapter")
    parser.add_argument("repository", metavar="NS/NAME")
    parser.add_argument("--base", default="", help="the base to name in the config that is sent")
    parser.add_argument("--branch", default="main")
    parser.add_argument("--message", default=None, help="what changed; by default the commit that the CI builds")
    parser.add_argument("--timeout", type=float, default=1800.0, metavar="SECONDS")
    parser.add_argument("--on-failure", choices=("stop", "warn"), default="stop", help="warn: exit 0 even if it fails")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the checks as a test report")
    parser.add_argument("--sarif", type=Path, metavar="FILE", help="write failures and warnings, for code scanning")
    return parser


def _publish(options: argparse.Namespace) -> int:
    checked = client.check(options.path)
    if not checked.passed:
        _report(options, checked, str(options.path))
        return _gate(options, checked, f"{options.path} would fail on the hub, so nothing was sent.")
    endpoint = places.endpoint()
    token = places.token(endpoint) or exchange(endpoint, options.repository)
    pushed = client.Client(endpoint, token).push(
        options.path,
        options.repository,
        message=options.message or _message(),
        branch=options.branch,
        base=options.base,
        wait=True,
        timeout=options.timeout,
    )
    verdict = pushed.verdict
    assert verdict is not None, "it was waited for"
    _output({"revision": pushed.revision, "url": pushed.url, "state": verdict.state})
    _say(f"{pushed.adapter}@{pushed.revision} {verdict.state}\n{pushed.url}")
    _report(options, verdict, str(options.path))
    state = (
        "not verified: it passed, but scores no better than what it is compared with"
        if verdict.held_back
        else verdict.state
    )
    return _gate(options, verdict, f"{pushed.adapter}@{pushed.revision[:12]} is {state}.")


def _gate(options: argparse.Namespace, verdict: verdicts.Verdict, sentence: str) -> int:
    status = status_of(verdict)
    for check in verdict.failed_checks:
        _say(f"{check.id}: {check.message}\n  {check.fix}".rstrip())
    if status == DONE:
        return DONE
    _annotate("error" if options.on_failure == "stop" else "warning", sentence)
    return status if options.on_failure == "stop" else DONE


# --- the token --------------------------------------------------------------------------------------------------------
def exchange(endpoint: str, repository: str) -> str:
    """Return an access token for one repository in exchange for the job's identity token. Raises Problem."""
    fields = {"grant_type": GRANT, "subject_token_type": ID_TOKEN, "resource": repository}
    body = urllib.parse.urlencode(fields | {"subject_token": _identity(endpoint)}).encode()
    token = str(_ask(f"{endpoint}/oauth/token", body=body).get("access_token") or "")
    if os.environ.get("GITHUB_ACTIONS"):
        print(f"::add-mask::{token}", flush=True)  # noqa: T201  # the runner hides it in the log from here on
    return token


def _identity(endpoint: str) -> str:
    if given := os.environ.get("HF_OIDC_ID_TOKEN") or os.environ.get("DOVETAIL_ID_TOKEN"):
        return given
    address, secret = (os.environ.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}") for name in ("URL", "TOKEN"))
    if not (address and secret):
        raise Problem(
            "This job has neither a token nor an identity token.",
            "GitHub: `permissions: id-token: write`. GitLab: `id_tokens: HF_OIDC_ID_TOKEN:` with the hub as its `aud`.",
            code="client-token-missing",
        )
    separator = "&" if "?" in address else "?"
    query = urllib.parse.urlencode({"audience": endpoint})
    return str(_ask(f"{address}{separator}{query}", token=secret).get("value") or "")


def _ask(address: str, *, body: bytes | None = None, token: str = "") -> Mapping[str, object]:
    headers = {"Content-Type": FORM} if body is not None else {}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    with ask("GET" if body is None else "POST", address, headers, body, SECONDS) as answer:
        document = json_object(answer)
        if answer.status >= 400:
            raise _refused(answer.status, document)
    return document


def _refused(status: int, document: Mapping[str, object]) -> Problem:
    said = document.get("error_description") or f"It answered {status}."
    fix = "Look at the trusted publishers of the repository: /NAMESPACE/NAME/settings/publishers on the hub."
    problem = Problem(f"The identity token was not exchanged. {said}", fix, code="client-token-missing")
    assert problem.exit_status == FORBIDDEN
    return problem


# --- what a CI reads --------------------------------------------------------------------------------------------------
def _report(options: argparse.Namespace, verdict: verdicts.Verdict, place: str) -> None:
    for name in ("junit", "sarif"):
        file: Path | None = getattr(options, name)
        if file:
            file.write_text(verdicts.REPORTS[name](verdict, place) + "\n", encoding="utf-8")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as out:
            out.write(verdicts.markdown(verdict, verdict.adapter or place) + "\n")


def _output(values: Mapping[str, str]) -> None:
    if file := os.environ.get("GITHUB_OUTPUT"):
        with Path(file).open("a", encoding="utf-8") as out:
            out.writelines(f"{name}={value}\n" for name, value in values.items())


def _message() -> str | None:
    commit = os.environ.get("GITHUB_SHA") or os.environ.get("CI_COMMIT_SHA")
    of = os.environ.get("GITHUB_REPOSITORY") or os.environ.get("CI_PROJECT_PATH")
    return f"Built from {of}@{commit[:12]}" if commit and of else None


def _annotate(level: str, sentence: str) -> None:
    if os.environ.get("GITHUB_ACTIONS"):
        line = " ".join(sentence.split()).replace("%", "%25")
        print(f"::{level} title=dovetail::{line}", flush=True)  # noqa: T201  # a command of GitHub's runner


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # what a person reads in the log of the job


if __name__ == "__main__":
    sys.exit(main())
