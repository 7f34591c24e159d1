"""A finding in, the changes that are worth trying out: what the probes saw recovering cases comes first."""

from dataclasses import dataclass

from firstfault.config import Settings
from firstfault.diagnose import patches
from firstfault.diagnose.patches import Patch
from firstfault.diagnose.playbook import Playbook, Repair
from firstfault.types import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A change to try: settings, or something made anew, or both."""

    patch: Patch
    repair: Repair | None = None

    @property
    def name(self) -> str:
        """The change in a few words."""
        settings = [f"{name} = {value}" for name, value in self.patch.items()]
        return ", ".join([*([self.repair] if self.repair else []), *settings])

    @property
    def needs_shadow(self) -> bool:
        """Whether the change shows only in a collection made anew."""
        return self.repair is not None or patches.reindexes(self.patch)

    def size(self, settings: Settings) -> tuple[bool, int, float]:
        """How much it changes; smaller first."""
        _, keys, distance = patches.size(self.patch, settings)
        return self.needs_shadow, keys, distance


def candidates(finding: Finding, playbook: Playbook, settings: Settings) -> list[Candidate]:
    """Every candidate once, those that need no other collection first."""
    seen = patches.resolve(finding.remedy.patch, settings)
    listed = playbook.candidates(finding.cause, settings, stage=finding.stage)
    found = [
        Candidate(patch=patch) for patch in ([seen] if seen else []) + [one for one in listed if one != seen]
    ]
    repair = playbook.entry(finding.cause).remedy.repair
    if repair is not None:
        found.append(Candidate(patch={}, repair=repair))
    return sorted(found, key=lambda candidate: candidate.needs_shadow)
