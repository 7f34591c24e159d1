"""Drills: an application broken on purpose, in a copy, to see whether the diagnosis names what is broken.

`Workshop` runs them, `FAULTS` is the library, `Proxy` the fault-injecting endpoint.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstfault.drill.fault import Fault
    from firstfault.drill.library import FAULTS
    from firstfault.drill.outcome import Outcome
    from firstfault.drill.proxy import Proxy
    from firstfault.drill.workshop import Workshop

__all__ = ["FAULTS", "Fault", "Outcome", "Proxy", "Workshop"]

_MODULES = {
    "FAULTS": "library",
    "Fault": "fault",
    "Outcome": "outcome",
    "Proxy": "proxy",
    "Workshop": "workshop",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
