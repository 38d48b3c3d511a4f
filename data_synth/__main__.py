"""`python -m data_synth TEXTS --engines hibari --out DIR`: text in, labelled speech out."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speech_analogy.errors import SpeechAnalogyError

if TYPE_CHECKING:
    from data_synth.synthesize import SynthesisReport

USER_ERROR, INTERRUPTED = 2, 130  # exit statuses
SECONDS_PER_MINUTE = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given = _parser().parse_args(arguments)
    try:
        print(describe(_synthesize(given)))
    except SpeechAnalogyError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0


def describe(report: SynthesisReport) -> str:
    """A report in a few lines: what was kept, what was rejected and why, the yield by voice and by domain."""
    lines = [
        f"{report.kept} of {report.clips} clips kept ({report.seconds / SECONDS_PER_MINUTE:.1f} min) "
        f"of {report.texts} texts; {report.made} made now"
    ]
    if report.rejections:
        lines.append("rejected: " + ", ".join(f"{name} {count}" for name, count in report.rejections.items()))
    if report.texts_without_clip:
        lines.append(f"texts without a clip: {len(report.texts_without_clip)}")
    for index, what in enumerate(("domain", "voice")):
        asked: Counter[str] = Counter()
        kept: Counter[str] = Counter()
        for pair, (pair_asked, pair_kept) in report.yields.items():
            asked[pair[index]] += pair_asked
            kept[pair[index]] += pair_kept
        lines.append(f"by {what}: " + ", ".join(f"{name} {kept[name]}/{asked[name]}" for name in asked))
    return "\n".join([*lines, f"cuts: {report.cuts}", f"ledger: {report.ledger}"])


def _synthesize(given: argparse.Namespace) -> SynthesisReport:
    from data_synth.synthesize import SynthesisOptions, synthesize
    from data_synth.texts import read_texts

    values = {name: getattr(given, name) for name in SynthesisOptions.model_fields if hasattr(given, name)}
    if given.gates == "none":
        values["gates"] = None
    else:
        del values["gates"]
    options = SynthesisOptions.parse(values)
    return synthesize(read_texts(given.texts, given.domain), given.out, options, progress=not given.quiet)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data_synth", description=__doc__)
    add = parser.add_argument
    add("texts", type=Path, metavar="TEXTS", help=".txt (a text a line), .csv or .jsonl (text, id, domain)")
    add("--out", type=Path, required=True, help="a new folder, or one to go on with")
    add("--engines", default="hibari", help="voices, e.g. hibari,piper:joe,flite:slt+rms (default: %(default)s)")
    add("--voices-per-text", type=int, default=1, help="clips a text (default: %(default)s)")
    add("--seed", type=int, default=0)
    add("--speed", type=float, nargs=2, default=(1.0, 1.0), metavar=("LOW", "HIGH"), help="1 = the voice's own")
    add("--gates", choices=["default", "none"], default="default")
    add("--attempts", type=int, default=3, help="at a clip, each with a new seed (default: %(default)s)")
    add("--workers", type=int, default=1, help="processes (default: %(default)s)")
    add("--storage", choices=["flac", "opus"], default="flac")
    add("--domain", default="target", help="of texts that name none (default: %(default)s)")
    add("--language", default="en")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


if __name__ == "__main__":
    sys.exit(main())
