"""What synthesis is worth: WER of TTS fine-tuning and of the analogy, one setting of synthesis changed at a time.

    python tests/benchmarks/synthesis/worth.py recipes/speechocean762 --out runs/worth

Every setting is the recipe with other options of synthesis, done in one run's folder, so that what settings share
(the real side, texts spoken alike) is made once; stopped and started again, it goes on. Learning rate and epochs are
fixed at what the recipe's own search chose for B. λ is chosen for each setting on held-out source speech; so would a
setting be, by the WER there: the test column tells what the choice is worth, and must not make it. Every row is
compared with the recipe's own setting by the paired bootstrap over speakers, and p-values are Holm's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from speech_analogy.evaluation.evaluate import compare_hypotheses
from speech_analogy.evaluation.results import read_hypotheses
from speech_analogy.evaluation.significance import holm
from speech_analogy.foundation.page import wording

ONE_VOICE, TWO_VOICES = '["hibari"]', '["hibari", "piper:joe"]'
CHANNEL = "{room: {rt60_s: 0.3, distance_m: 1.0}, noise: {colour: pink, snr_db: 20}}"


def both(option: str) -> list[str]:
    """The same option for A and C."""
    return [f"synthesis.source.{option}", f"synthesis.target.{option}"]


SETTINGS: dict[str, tuple[str, list[str]]] = {
    "default": ("as the recipe: 6 voices, gates, no channel, 2 clips a target text", []),
    "voice1": ("1 voice", both(f"engines={ONE_VOICE}")),
    "voice2": ("2 voices", both(f"engines={TWO_VOICES}")),
    "nogates": ("no gates", both("gates=null")),
    "channel": ("channel: room of 0.3 s at 1 m, pink noise 20 dB", both(f"channel={CHANNEL}")),
    "clips1": ("1 clip a target text", ["synthesis.target.voices_per_text=1"]),
    "clips4": ("4 clips a target text", ["synthesis.target.voices_per_text=4"]),
}
SYSTEMS = ("target_synthetic", "analogy")


def adapt(name: str, arguments: argparse.Namespace) -> None:
    """Do one setting, and keep its results and hypotheses aside."""
    kept = arguments.out / "settings" / name
    if kept.is_dir():
        return
    options = [
        "search=null",
        f"training.learning_rate={arguments.learning_rate}",
        f"training.epochs={arguments.epochs}",
    ]
    options += [f"systems=[{', '.join(SYSTEMS)}]", *SETTINGS[name][1]]
    command = [sys.executable, "-c", "from speech_analogy.cli.main import main; main()", "adapt", str(arguments.recipe)]
    command += ["--out", str(arguments.out / "run"), "--quiet"]
    command += ["--data", str(arguments.data)] if arguments.data else []
    command += [part for option in options for part in ("--set", option)]
    if arguments.workers:
        command += ["--workers", str(arguments.workers)]
    subprocess.run(command, check=True)
    building = kept.with_name(f".{name}")
    shutil.rmtree(building, ignore_errors=True)
    shutil.copytree(arguments.out / "run" / "hypotheses", building / "hypotheses")
    shutil.copy(arguments.out / "run" / "results.json", building)
    building.rename(kept)


def table(folder: Path) -> str:
    """The settings that are done, as Markdown."""
    results: dict[str, dict[str, Any]] = {
        name: json.loads((folder / name / "results.json").read_text()) for name in SETTINGS if (folder / name).is_dir()
    }
    heard = {
        name: {system: read_hypotheses(folder / name / _row(found, system)["hypotheses_file"]) for system in SYSTEMS}
        for name, found in results.items()
    }
    differences = {
        (name, system): compare_hypotheses(heard[name][system], heard["default"][system], (name, "default"))
        for name in results
        if name != "default"
        for system in SYSTEMS
    }
    adjusted = holm({key: difference.p_value for key, difference in differences.items()})
    lines = [
        "| setting | hours A + C | C, held out | D, held out | λ | C: WER (95 %) | against default | "
        "D: WER (95 %) | against default |",
        "|---|--:|--:|--:|--:|---|---|---|---|",
    ]
    for name, found in results.items():
        curve = {point["scale"]: point["wer"] for point in found["selection"]["scale_curve"]}
        hours = sum(found["counts"][part]["hours"] for part in ("source_synthetic", "target_synthetic"))
        cells = [SETTINGS[name][0], f"{hours:.2f}", f"{curve[0.0]:.1f}", f"{min(curve.values()):.1f}"]
        cells.append(f"{found['selection']['scale']:g}")
        for system in SYSTEMS:
            row = _row(found, system)
            cells.append(f"{row['wer']:.1f} ({row['ci95'][0]:.1f} to {row['ci95'][1]:.1f})")
            if name == "default":
                cells.append("")
                continue
            difference = differences[name, system]
            low, high = difference.ci95
            cells.append(
                f"{difference.difference:+.1f} ({low:+.1f} to {high:+.1f}), {wording.p_clause(adjusted[name, system])}"
            )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _row(found: dict[str, Any], system: str) -> dict[str, Any]:
    rows = [row for row in found["systems"] if row["name"] == system]
    return next(row for row in rows if row["chosen"] or len(rows) == 1)


def main() -> None:
    """Do the settings that are missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/worth"))
    parser.add_argument("--data", type=Path, help="the corpus's folder, in place of the recipe's")
    parser.add_argument("--settings", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    (arguments.out / "settings").mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(["default", *arguments.settings]):
        adapt(name, arguments)
    text = table(arguments.out / "settings")
    print(text)
    (arguments.out / "worth.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
