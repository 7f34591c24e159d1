"""From data to the shipped model in under an hour on two cores.

    python train/reproduce.py --data DIR --backbone DIR

The table of word rarities, one run on both cores, the ONNX file. A run that was stopped goes on when started
again. The calibration is fitted afterwards by `python -m bench.verifier_calibration --write`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import idf

HERE = Path(__file__).parent
STEPS = "750"
"""Batches of the shipped weights."""
WEIGHTS = HERE.parent / "src" / "firstfault" / "verify" / "weights"


def command(script: str, *arguments: str) -> list[str]:
    """A command line that runs a script of this folder."""
    return [sys.executable, str(HERE / script), *arguments]


def main() -> None:
    """Run every step; stop at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder with verifier_train, faithfulness, qa"
    )
    parser.add_argument("--backbone", type=Path, required=True, help="model.safetensors and tokenizer.json")
    parser.add_argument("--out", type=Path, default=Path("build/verifier"))
    parser.add_argument("--target", type=Path, default=WEIGHTS / "verifier.onnx")
    parser.add_argument("--steps", default=STEPS, help="batches")
    given = parser.parse_args()
    out: Path = given.out
    idf.main(given.data, WEIGHTS / "idf.tsv")
    shared = ["--data", str(given.data), "--backbone", str(given.backbone)]
    subprocess.run(command("run.py", *shared, "--out", str(out), "--steps", given.steps), check=True)
    export = [str(out / "final.pt"), str(given.target), "--backbone", str(given.backbone)]
    subprocess.run(command("export.py", *export), check=True)


if __name__ == "__main__":
    main()
