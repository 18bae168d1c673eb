"""Answers a visitor's own text with the base and with an adapter, in the same stages and jail as a validation.

The texts stay in this process and its child: no message of this module, and no fault, quotes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dovetail.adapters.results.records import Limits
from dovetail.adapters.results.usage import Answer
from workers.engine.processes.stage import Frame
from workers.engine.processes.validation import Validation, parsed
from workers.engine.side_by_side import ANSWERED, CANNOT

LIMITS = Limits(text=4000)
NOT_HERE = "run.not-here"


@dataclass(slots=True)
class Answering(Validation):
    """Runs one job that has texts: the static checks, then the adapter on them."""

    answer: Answer | None = None

    def answered(self) -> dict[str, Any]:
        """Return the answer, or the check and the sentence that say why there is none."""
        report = self.run()
        if self.answer is not None and report.is_passed:
            return {"answer": self.answer.as_json(), "check": "", "reason": ""}
        problem = report.refusal or next((check for check in report.checks if check.id == NOT_HERE), None)
        reason = problem.message if problem else "It was not run."
        return {"answer": None, "check": problem.id if problem else CANNOT, "reason": reason}

    @property
    def _expected_of_run(self) -> list[str]:
        return [ANSWERED]

    def _take(self, frame: Frame) -> None:
        if "crash" in frame:
            return  # what was raised may quote the texts
        if ANSWERED not in frame:
            Validation._take(self, frame)
        elif self.answer is None:
            self.heard.append(ANSWERED)
            self.answer = parsed(Answer, frame[ANSWERED], LIMITS)
