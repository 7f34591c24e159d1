"""The fault library: every fault, in the order of the stages.

`FAULTS` maps names to faults. To add one, declare it in the module of its part and list it there.
"""

from collections.abc import Mapping, Sequence

from firstfault.drill.fault import Fault, FaultSet
from firstfault.drill.library import corpus, endpoint, prompt, retrieval
from firstfault.errors import InputError
from firstfault.stages import Stage

_ORDER = {stage: position for position, stage in enumerate(Stage)}

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in sorted(
        (*corpus.FAULTS, *retrieval.FAULTS, *prompt.FAULTS, *endpoint.FAULTS),
        key=lambda fault: _ORDER[fault.stage],
    )
}
"""Every fault of both sets, by name."""


def of_set(name: FaultSet) -> list[Fault]:
    """The faults of one set."""
    return [fault for fault in FAULTS.values() if fault.set == name]


def named(names: Sequence[str]) -> list[Fault]:
    """The faults with these names.

    Raises:
        InputError: there is no such fault.
    """
    for name in names:
        if name not in FAULTS:
            raise InputError(f"There is no fault '{name}'.", hint="`firstfault drill --list` shows them.")
    return [FAULTS[name] for name in names]
