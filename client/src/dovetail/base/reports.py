"""A verdict as other tools read it: JUnit for test reports, SARIF for code scanning, Markdown for a job's summary."""

import json
import re
from collections.abc import Callable
from xml.etree import ElementTree

from dovetail import __version__
from dovetail.base.verdicts import Check, Verdict

LEVELS = {"failed": "error", "warned": "warning"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#|!~@])")


def junit(verdict: Verdict, place: str) -> str:
    """Return a test suite with a case for each check; `place` is the folder, or the adapter on a hub."""
    outcomes = [check.outcome for check in verdict.checks]
    counts = {"tests": len(outcomes), "failures": outcomes.count("failed"), "skipped": outcomes.count("skipped")}
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", {"name": f"dovetail {_xml(place)}"})
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    for check in verdict.checks:
        seconds = f"{(check.duration_ms or 0) / 1000:.3f}"
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": _xml(place), "name": _xml(check.id), "time": seconds}
        )
        if check.outcome == "failed":
            failure = ElementTree.SubElement(case, "failure", {"type": _xml(check.id), "message": _xml(check.message)})
            failure.text = _xml(check.fix)
        elif check.outcome == "skipped":
            ElementTree.SubElement(case, "skipped", {"message": _xml(check.message)})
        elif check.outcome == "warned":
            ElementTree.SubElement(case, "system-out").text = _xml(f"{check.message} {check.fix}".strip())
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode")


def sarif(verdict: Verdict, place: str) -> str:
    """Return SARIF 2.1.0 with a result for each check that failed or warned; `place` is the folder in the workspace."""
    told = [check for check in verdict.checks if check.outcome in LEVELS]
    rules = [
        {"id": check.id, "shortDescription": {"text": check.id}, "help": {"text": check.fix or check.id}}
        for check in told
    ]
    driver = {"name": "dovetail", "semanticVersion": __version__, "rules": rules}
    results = [_result(check, at, place) for at, check in enumerate(told)]
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    document = {"$schema": schema, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(document, indent=2)


def markdown(verdict: Verdict, place: str) -> str:
    """Return the state, what failed or warned with its fix, and what was measured."""
    lines = [f"## {_plain(place)}: {_plain(verdict.state)}", ""]
    if verdict.reason:
        lines += [_plain(verdict.reason), ""]
    told = [check for check in verdict.checks if check.outcome in LEVELS]
    if told:
        lines += ["| check | outcome | message | fix |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(map(_plain, (one.id, one.outcome, one.message, one.fix)))} |" for one in told] + [""]
    if verdict.evals:
        lines += ["| evaluation | metric | base | adapter |", "|---|---|---|---|"]
        lines += [
            f"| {' | '.join(_plain(str(value)) for value in (one.name, one.metric, one.base, one.adapter))} |"
            for one in verdict.evals
        ] + [""]
    passed = sum(check.outcome == "passed" for check in verdict.checks)
    return "\n".join([*lines, f"{passed} of {len(verdict.checks)} checks passed."])


FORMATS: dict[str, Callable[[Verdict, str], str]] = {"junit": junit, "sarif": sarif, "markdown": markdown}


def _result(check: Check, index: int, place: str) -> dict[str, object]:
    file = check.where.get("file") if isinstance(check.where, dict) else None
    uri = "/".join((place.strip("/").removeprefix("./"), str(file or "adapter_config.json")))
    return {
        "ruleId": check.id,
        "ruleIndex": index,
        "level": LEVELS[check.outcome],
        "message": {"text": f"{check.message} {check.fix}".strip()},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}}}],
    }


def _xml(text: str) -> str:
    """Replace what XML cannot hold: messages quote names that strangers chose."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
