"""Citations and format: the answer is right, and how it was written down is not.

In: a trace with a right answer. Out: the blame, from what the checker found in the generator's own words.
"""

from collections import Counter

from firstfault.diagnose.blaming import blame
from firstfault.diagnose.wording import quoted
from firstfault.stages import Stage
from firstfault.types import Blame, Case, Trace


def citing(case: Case, trace: Trace) -> Blame | None:
    """Blame the citations that the generator wrote; the checker repaired what it could."""
    events = [event for stage, event in trace.events() if stage == Stage.CITE]
    named = {str(event.attributes.get("sentence")) for event in events if event.name.endswith("d_citation")}
    kinds: Counter[str] = Counter()
    seen: dict[str, str] = {}
    for event in events:
        sentence, mark = str(event.attributes.get("sentence")), event.attributes.get("mark")
        if event.name == "fabricated_citation":
            cause, what = event.name, f"cites [{mark}], and there is no such passage"
        elif event.name == "misattributed_citation":
            cause, what = event.name, f"cites [{mark}], which does not support it"
        elif event.name == "citation_added" and sentence not in named:
            cause, what = "missing_citation", f"cites nothing; [{mark}] supports it"
        else:
            continue
        kinds[cause] += 1
        seen.setdefault(cause, f"{quoted(sentence)} {what}.")
    if not kinds:
        return None
    order = ("fabricated_citation", "misattributed_citation", "missing_citation")
    cause = max(order, key=lambda name: (kinds[name], -order.index(name)))
    repaired = trace.answer is not None and all(
        any(citation.number in claim.citations for citation in trace.answer.citations)
        for claim in trace.answer.claims
    )
    evidence = seen[cause] + (" The checker put it right." if repaired else "")
    return blame(case, trace, Stage.CITE, cause, evidence, verified=repaired)
