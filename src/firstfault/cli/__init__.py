"""The command line: one small file per group of commands.

Exit codes: 0 = done, 1 = done and the verdict is *fail*, 2 = usage or bad input, 3 = something needed is
missing or unreachable. With `--json` a command prints exactly one JSON document on stdout, also when it
fails; progress, logs and hints go to stderr.
"""

import os
import sys

from firstfault.cli.root import app
from firstfault.errors import FirstfaultError


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except FirstfaultError as error:
        _report(error)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("Interrupted. What was acknowledged is kept.", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing to say
        raise SystemExit(0) from None


def _report(error: FirstfaultError) -> None:
    notes = getattr(error, "__notes__", [])
    if "--json" in sys.argv[1:]:
        import json

        problem = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code, "notes": notes}
        print(json.dumps({"error": problem}, ensure_ascii=False))
    print(f"error: {error.message}", file=sys.stderr)
    for note in notes:
        print(f"       ({note})", file=sys.stderr)
    print(f"  fix: {error.hint}", file=sys.stderr)
