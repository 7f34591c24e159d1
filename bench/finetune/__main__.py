"""Run a part: `python -m bench.finetune doctor --json out.json`."""

import argparse
import json
import os
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["doctor", "line", "seeds", "faults", "replay", "resume", "adapters"])
    parser.add_argument("--home", type=Path, default=Path("bench/out/finetune"))
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--only", action="append", help="a fault; repeatable; all five without it")
    parser.add_argument("--seed", action="append", type=int, help="repeatable; 1 to 5 without it")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    data = Path(os.environ.get("FIRSTFAULT_DATA", "../shared/data"))
    if given.part == "doctor":
        if not data.is_dir():
            parser.error(f"there is no {data}: set FIRSTFAULT_DATA")
        from bench.finetune.doctor import run

        made = run(data)
    else:
        from bench.finetune import training

        made = getattr(training, given.part)(given)
    text = json.dumps(made, indent=2)
    print(text)
    if given.json:
        given.json.write_text(text)


if __name__ == "__main__":
    main()
