"""The command line: one small file per group of commands.

Exit codes: 0 = done, 1 = done and the verdict is *fail*, 2 = usage or bad input, 3 = something needed is
missing or unreachable. With `--json` a command prints exactly one JSON document on stdout, also when it
fails; progress, logs and hints go to stderr.
"""

import os
import sys

from firstfault.cli import logs
from firstfault.cli.root import app
from firstfault.cli.state import left_open
from firstfault.errors import FirstfaultError

USAGE = 2


def process() -> None:
    """Run the command line as a whole process: the console script.

    A command that only looked leaves closing to the operating system, which does it in no time: the engine
    takes a tenth of a second to write nothing to every one of its files, and the interpreter another to end.
    """
    code: object = 0
    try:
        _run()
    except SystemExit as stop:
        code = stop.code
        if not left_open:
            raise
    if left_open:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def main() -> None:
    """Run the command line inside a process that goes on."""
    try:
        _run()
    finally:
        while left_open:
            left_open.pop()()


def _run() -> None:
    logs.set_up()
    try:
        app()
    except FirstfaultError as error:
        _report(error)
        raise SystemExit(error.exit_code) from None
    except SystemExit as stop:
        if stop.code == USAGE:
            _print_problem("The command line is not understood.", "See stderr, or --help.", USAGE, [])
        raise
    except KeyboardInterrupt:
        print("Interrupted. What was acknowledged is kept.", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing to say
        raise SystemExit(0) from None


def _report(error: FirstfaultError) -> None:
    notes = getattr(error, "__notes__", [])
    _print_problem(error.message, error.hint, error.exit_code, notes)
    print(f"error: {error.message}", file=sys.stderr)
    for note in notes:
        print(f"       ({note})", file=sys.stderr)
    print(f"  fix: {error.hint}", file=sys.stderr)


def _print_problem(message: str, hint: str, exit_code: int, notes: list[str]) -> None:
    """With --json, a failing command still prints one document."""
    if "--json" in sys.argv[1:]:
        import json

        problem = {"message": message, "hint": hint, "exit_code": exit_code, "notes": notes}
        print(json.dumps({"error": problem}, ensure_ascii=False))
