"""The verbs of verdicts: request one, claim it, record its report; how an adapter is proven is not here.

The row is the job. Every change of state is one conditional UPDATE whose count is looked at, leases run on the
database's clock, and a claim is a token: messages may be lost, doubled or late, and workers may die or come back.
"""

from registry.proof.verdicts.jobs import (
    claim,
    claim_next,
    give_back,
    heartbeat,
    progress,
    record,
    sign_of_life,
    sign_off,
)
from registry.proof.verdicts.queue import Capabilities, Fleet, Offer, room, runs_on, waits_for, why
from registry.proof.verdicts.requests import (
    NOT_RUN,
    adapter_named,
    adopt,
    again,
    base_for,
    current,
    drop_postponed,
    finished_before,
    in_force,
    incompleteness,
    is_base_id,
    latest,
    newer_than,
    postpone,
    refresh,
    renewal_of,
    request,
    resume,
    states_in_force,
)
from registry.proof.verdicts.rows import Claim
from registry.proof.verdicts.sweeps import BASE_PATIENCE, NUDGE_AGAIN, Swept, base_arrived, correct_verified, sweep

__all__ = [
    "BASE_PATIENCE",
    "NOT_RUN",
    "NUDGE_AGAIN",
    "Capabilities",
    "Claim",
    "Fleet",
    "Offer",
    "Swept",
    "adapter_named",
    "adopt",
    "again",
    "base_arrived",
    "base_for",
    "claim",
    "claim_next",
    "correct_verified",
    "current",
    "drop_postponed",
    "finished_before",
    "give_back",
    "heartbeat",
    "in_force",
    "incompleteness",
    "is_base_id",
    "latest",
    "newer_than",
    "postpone",
    "progress",
    "record",
    "refresh",
    "renewal_of",
    "request",
    "resume",
    "room",
    "runs_on",
    "sign_of_life",
    "sign_off",
    "states_in_force",
    "sweep",
    "waits_for",
    "why",
]
