"""From data to the shipped model in under an hour on two cores.

    python train/reproduce.py --data DIR --backbone DIR

The table of word rarities; one run on both cores; two runs from there with one core each (other seeds, other
shares
of the data); the mean of their weights; the ONNX file. The calibration is fitted afterwards by
`python -m bench.verifier_calibration --write`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import idf

HERE = Path(__file__).parent
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
    given = parser.parse_args()
    out: Path = given.out
    idf.main(given.data, WEIGHTS / "idf.tsv")
    shared = ["--data", str(given.data), "--backbone", str(given.backbone)]
    first = [
        "--out",
        str(out / "first"),
        "--seed",
        "1",
        "--rate",
        "2e-4",
        "--steps",
        "400",
        "--length",
        "980",
    ]
    subprocess.run(command("run.py", *shared, *first), check=True)
    start = [
        "--start",
        str(out / "first" / "final.pt"),
        "--rate",
        "1.5e-4",
        "--threads",
        "1",
        "--steps",
        STEPS,
    ]
    branches = [
        subprocess.Popen(command("run.py", *shared, *start, "--out", str(out / "a"), "--seed", "11")),
        subprocess.Popen(
            command(
                "run.py",
                *shared,
                *start,
                "--out",
                str(out / "b"),
                "--seed",
                "12",
                "--rounds",
                "3",
                "--fever",
                "0.35",
            )
        ),
    ]
    failed = [branch.wait() for branch in branches]
    if any(failed):
        raise SystemExit(f"a branch failed: {failed}")
    parts = [str(out / name / "final.pt") for name in ("a", "b")]
    subprocess.run(command("average.py", *parts, "--out", str(out / "mean.pt")), check=True)
    export = [str(out / "mean.pt"), str(given.target), "--backbone", str(given.backbone)]
    subprocess.run(command("export.py", *export), check=True)


STEPS = "340"
"""Batches of each branch."""

if __name__ == "__main__":
    main()
