"""Words for what probes saw: numbers and quotes in, phrases for a tired reader out."""

LONGEST_QUOTE = 90


def quoted(text: str) -> str:
    """A text in quotation marks, on one line, cut when it is long."""
    line = " ".join(text.split())
    return f"“{line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 1].rstrip() + '…'}”"


def place(rank: int | None, *, beyond: int) -> str:
    """A rank in words: `3rd`, or `not among the first 1,000`."""
    return ordinal(rank) if rank is not None else f"not among the first {beyond:,}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ..."""
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number:,}{suffix}"


def count(number: int, noun: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
