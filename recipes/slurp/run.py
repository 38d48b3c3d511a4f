"""The whole grid on SLURP: sizes of Whisper x TTS engines x 18 targets, from one command.

    python recipes/slurp/run.py --data SLURP --out runs/slurp --dry-run     # hours and disk, nothing done
    python recipes/slurp/run.py --data SLURP --out runs/slurp

Killed and started again, it goes on. Each pair of size and engine has a folder with `domains.md`; a domain is spoken
once by each engine, for all sizes.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from speech_analogy.adaptation.runs.domains import describe_domains, do_domains, plan_domains
from speech_analogy.errors import SpeechAnalogyError

RECIPE = Path(__file__).parent / "recipe.yaml"
SIZES = {  # learning rate and weight decay of arXiv 2406.02925
    "tiny": ("openai/whisper-tiny", "3.0e-5", "0.1"),
    "base": ("openai/whisper-base", "2.0e-5", "0.1"),
    "small": ("openai/whisper-small", "1.0e-5", "0"),
}
ENGINES = ("bark", "speecht5")


def overrides_of(size: str, engine: str) -> list[str]:
    """What a size and an engine change in the recipe."""
    base, rate, decay = SIZES[size]
    return [
        f"title=SLURP, whisper-{size}, {engine}",
        f"base={base}",
        f"training.learning_rate={rate}",
        f"training.weight_decay={decay}",
        f"synthesis.source.engines=[{engine}]",
        f"synthesis.target.engines=[{engine}]",
    ]


def main() -> int:
    """Parse the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="SLURP's repository, with the audio")
    parser.add_argument("--out", type=Path, default=Path("runs/slurp"), help="the grid's folder (%(default)s)")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), help="any that is installed (%(default)s)")
    parser.add_argument("--targets", nargs="+", default=[], help="some of the 18 scenarios; by default all")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="key=value, over all others")
    parser.add_argument("--workers", type=int, help="processes; by default one per GPU, without GPUs one per core")
    parser.add_argument("--keep-models", action="store_true", help="keep a target's models after it has been measured")
    parser.add_argument("--dry-run", action="store_true", help="print hours and disk only")
    given = parser.parse_args()
    try:
        jobs = {}
        for engine in given.engines:
            for size in given.sizes:
                jobs[f"{size}-{engine}"] = plan_domains(
                    RECIPE,
                    given.out / f"{size}-{engine}",
                    overrides=[*overrides_of(size, engine), *given.overrides],
                    data=given.data,
                    domains=given.targets,
                    speech=given.out / "speech",
                )
        for name, job in jobs.items():
            print(f"{name}\n{describe_domains(job, given.workers)}\n", flush=True)
        for job in {} if given.dry_run else jobs.values():
            do_domains(job, keep_models=given.keep_models, workers=given.workers, command=shlex.join(sys.argv))
            print(job.run / "domains.md", flush=True)
    except SpeechAnalogyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
