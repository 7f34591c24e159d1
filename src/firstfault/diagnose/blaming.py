"""What a walk along the stages ends in: the stage and the cause in, the blame of a case's request out."""

from firstfault.diagnose.probes import Patch, Probes
from firstfault.types import Blame, Case, Trace


def blame(
    case: Case,
    trace: Trace,
    stage: str,
    cause: str,
    evidence: str,
    *,
    verified: bool,
    patch: Patch | None = None,
    document: str | None = None,
) -> Blame:
    """The blame of a stage; `patch` is what an intervention showed to repair it."""
    return Blame(
        case_id=case.id,
        trace_id=trace.id,
        stage=stage,
        cause=cause,
        verified=verified,
        evidence=evidence,
        document=document,
        patch=patch or {},
    )


class Walk:
    """One case and its request, whose stages are looked at in order."""

    def __init__(self, probes: Probes, case: Case, trace: Trace) -> None:
        self.probes = probes
        self.case = case
        self.trace = trace

    def _found(
        self, stage: str, cause: str, evidence: str, verified: bool, patch: Patch | None = None
    ) -> Blame:
        return blame(self.case, self.trace, stage, cause, evidence, verified=verified, patch=patch)
