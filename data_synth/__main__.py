"""`python -m data_synth TEXTS --engines hibari --out DIR`: text in, labelled speech out."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speech_analogy.errors import ConfigError, SpeechAnalogyError

if TYPE_CHECKING:
    from data_synth.synthesize import SynthesisReport
    from data_synth.texts import Text

USER_ERROR, INTERRUPTED = 2, 130  # exit statuses
SECONDS_PER_MINUTE = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["report"]:
            from data_synth.report.command import main as report

            report(words[1:])
            return 0
        given = _parser().parse_args(words)
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
    if report.respelled:
        lines.append(f"texts spoken otherwise than written: {report.respelled}")
    if report.digits_left:
        lines.append(f"texts whose digits were left to the engine: {report.digits_left}")
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

    values = {name: getattr(given, name) for name in SynthesisOptions.model_fields if hasattr(given, name)}
    if given.gates == "none":
        values["gates"] = None
    else:
        del values["gates"]
    options = SynthesisOptions.parse(values)
    return synthesize(_texts(given), given.out, options, progress=not given.quiet)


def _texts(given: argparse.Namespace) -> list[Text]:
    """The texts that are asked for: read, filled in where they are templates, enlarged by a model; told in lines."""
    from data_synth.texts import scan_texts

    reading = scan_texts(given.texts, given.domain)
    print(f"read: {reading}")
    texts = reading.texts
    if given.slots is not None:
        from data_synth.templates import expand_templates, read_slots

        expansion = expand_templates(texts, read_slots(given.slots), given.count, given.seed)
        print(f"templates: {expansion}")
        texts = expansion.texts
    elif given.count is not None:
        raise ConfigError("is of texts that templates give", field="count", do="name the lists of slots: --slots PATH")
    if given.llm is not None:
        from data_synth.expansion import ExpansionOptions, enlarge

        options = ExpansionOptions.parse(
            {"model": given.llm, "endpoint": given.llm_endpoint, "texts": given.llm_texts, "seed": given.seed}
        )
        out = given.out.absolute()
        enlargement = enlarge(texts, options, given.llm_cache or out.with_name(f"{out.name}.llm"))
        print(f"language model: {enlargement}")
        texts = [*texts, *enlargement.texts]
    return texts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data_synth", description=__doc__)
    add = parser.add_argument
    add("texts", type=Path, metavar="TEXTS", help=".txt, .csv, .tsv, .jsonl (text, id, domain)")
    add("--out", type=Path, required=True, help="a new folder, or one to go on with")
    add("--engines", default="hibari", help="voices, e.g. hibari,piper:joe,flite:slt+rms (default: %(default)s)")
    add("--voices-per-text", type=int, default=1, help="clips a text (default: %(default)s)")
    add("--seed", type=int, default=0)
    add("--speed", type=float, nargs=2, default=(1.0, 1.0), metavar=("LOW", "HIGH"), help="1 = the voice's own")
    add("--gates", choices=["default", "none"], default="default")
    add("--keep-rejected", action="store_true", help="store rejected clips too, to be listened to")
    add("--attempts", type=int, default=3, help="at a clip, each with a new seed (default: %(default)s)")
    add("--workers", type=int, default=1, help="processes (default: %(default)s)")
    add("--storage", choices=["flac", "opus"], default="flac")
    add("--domain", default="target", help="of texts that name none (default: %(default)s)")
    add("--language", default="en")
    add("--spoken", choices=["auto", "none"], default="auto", help="numbers and the like in words for the engine")
    add("--slots", type=Path, metavar="PATH", help="TEXTS are templates; a folder of SLOT.txt, a .json or a .yaml")
    add("--count", type=int, metavar="N", help="texts of the templates (default: all)")
    add("--llm", metavar="MODEL", help="enlarge every domain by a language model (default: none)")
    add("--llm-endpoint", default="http://localhost:8000/v1", metavar="URL", help="of OpenAI's protocol")
    add("--llm-texts", type=int, default=100, metavar="N", help="new texts a domain (default: %(default)s)")
    add("--llm-cache", type=Path, metavar="DIR", help="of answers (default: OUT.llm)")
    add("--quiet", action="store_true", help="no progress bar")
    return parser


if __name__ == "__main__":
    sys.exit(main())
