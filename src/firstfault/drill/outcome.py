"""What came of a drill: what was broken, what the diagnosis called it, and what it cost to find out."""

from dataclasses import dataclass
from typing import Literal

HEALTHY = "healthy"
UNKNOWN = "unknown"

Repaired = Literal["verified", "unproven", "no setting repairs it"]
"""`verified`: a patch that `fix` proposed gained on cases it was not chosen on; `unproven`: none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A stage and a cause."""

    stage: str
    cause: str

    def __str__(self) -> str:
        return self.stage if self.stage == self.cause else f"{self.stage}: {self.cause}"


class Judged:
    """What should have been named, and what was."""

    __slots__ = ()
    expected: tuple[Named, ...]
    """The fault that should be named first first; none where nothing was broken."""
    found: Named

    @property
    def stage_named(self) -> bool:
        """Whether the stage is named first; where nothing was broken, whether nothing is."""
        return self.found.stage == (self.expected[0].stage if self.expected else HEALTHY)

    @property
    def cause_named(self) -> bool:
        """Whether the cause is named first, too."""
        return self.found == (self.expected[0] if self.expected else Named(stage=HEALTHY, cause=HEALTHY))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Judged):
    """One drill: an application broken on purpose, or left whole, and its diagnosis."""

    faults: tuple[str, ...]
    """Names of the faults, the one that should be named first first; none for a control."""
    scene: str
    severity: float | None
    """None for a control."""
    seed: int
    cases: int
    """How many cases were run."""
    hurt: int
    """Cases that scored worse than in the healthy application; 0 = the fault does no harm here."""
    expected: tuple[Named, ...]
    found: Named
    """What was named first: a cause, `healthy`, or `unknown`."""
    listed: tuple[Named, ...]
    """Every cause that was found, the first one first."""
    evidence: str
    """What the diagnosis says it saw for the first one."""
    next_command: str
    alerts: tuple[str, ...]
    """Metrics beyond their limits that are within them in the healthy application: what a gate or a monitor
    with these limits would have shown."""
    seconds_evaluate: float
    seconds_diagnose: float
    model_calls: int
    repair: Repaired | None = None
    """Whether `fix` repairs it; None when that was not asked."""
    skipped: str = ""
    """Why the fault could not be placed; nothing was run then."""

    @property
    def detected(self) -> bool:
        """Whether the application is called anything but healthy."""
        return self.found.stage != HEALTHY

    @property
    def others_listed(self) -> bool:
        """Whether the further faults of a double are listed, in whatever order."""
        return all(one in self.listed for one in self.expected[1:])
