"""Text in, labelled speech out: a run that is stopped goes on when the same command is given again."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from speech_analogy.errors import ConfigError, SpeechAnalogyError

if TYPE_CHECKING:
    from data_synth.plan.plan import Texts
    from data_synth.synthesize import SynthesisReport

PROGRAM = "python -m data_synth"
NAMED_GATES: dict[str, dict[str, Any] | None] = {"default": {}, "none": None}
USER_ERROR, INTERRUPTED = 2, 130  # exit statuses
SECONDS_PER_MINUTE = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    try:
        run(sys.argv[1:] if arguments is None else arguments)
    except SpeechAnalogyError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0


def run(arguments: Sequence[str], program: str = PROGRAM) -> None:
    """Do what the words ask for and print what came of it; `speech-analogy synthesize` calls this too.

    Args:
        arguments: TEXTS and options, or `report DIR` and its options.
        program: what was typed before them.

    Raises:
        SpeechAnalogyError: the user can mend it.
        SystemExit: help was asked for and printed.
    """
    words = list(arguments)
    if words[:1] == ["report"]:
        from data_synth.report.command import main as report

        report(words[1:], f"{program} report")
        return
    if words[:1] == ["merge"]:
        from data_synth.run.join_parts import main as merge

        print(describe(merge(words[1:], f"{program} merge")))
        return
    print(describe(_synthesize(_parser(program).parse_args(words))))


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
    from data_synth.plan.options import SynthesisOptions
    from data_synth.synthesize import Shard, synthesize

    options = SynthesisOptions.parse(_values(given, SynthesisOptions.model_fields))
    shard = None if given.shard is None else Shard.parse(given.shard)
    return synthesize(
        _texts(given),
        given.out,
        options,
        progress=not given.quiet,
        shard=shard,
        clips_per_shard=given.clips_per_tar,
    )


def _values(given: argparse.Namespace, fields: Iterable[str]) -> dict[str, Any]:
    """Values of SynthesisOptions: what was typed, before what `--config` says, before what `--preset` says."""
    from data_synth.plan.presets import with_preset

    values = {} if given.config is None else _mapping(given.config)
    values |= {name: getattr(given, name) for name in fields if hasattr(given, name)}
    if given.preset is not None:
        values = with_preset(given.preset, values)
    if given.channel_file is not None:
        values["channel"] = _mapping(given.channel_file)
    return _with_gates(values, given)


def _with_gates(values: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """The values with the gates that were named and the recogniser that is to listen."""
    named = given.gates_named
    if named is not None:
        values = {**values, "gates": NAMED_GATES[named] if named in NAMED_GATES else _mapping(named)}
    if given.round_trip is None:
        if given.max_cer is not None:
            raise ConfigError("is of the round trip", field="max-cer", do="name a recogniser: --round-trip NAME")
        return values
    if named == "none":
        raise ConfigError("is a gate, and gates are off", field="round-trip", do="leave out --gates none")
    listening: dict[str, Any] = {"recogniser": given.round_trip}
    if given.max_cer is not None:
        listening["max_character_error_rate"] = given.max_cer
    return {**values, "gates": {**(values.get("gates") or {}), "round_trip": listening}}


def _mapping(path: str | Path) -> dict[str, Any]:
    from speech_analogy.foundation.user_files import read_mapping

    return read_mapping(Path(path))


def _texts(given: argparse.Namespace) -> Texts:
    """The texts that are asked for: read, filled in where they are templates, enlarged by a model; told in lines."""
    from data_synth.text.texts import TextFile

    seed = getattr(given, "seed", 0)
    texts: Texts = TextFile(given.texts, given.domain)
    print(f"read: {texts}")
    if given.slots is not None:
        from data_synth.text.templates import expand_templates, read_slots

        expansion = expand_templates(list(texts), read_slots(given.slots), given.count, seed)
        print(f"templates: {expansion}")
        texts = expansion.texts
    elif given.count is not None:
        raise ConfigError("is of texts that templates give", field="count", do="name the lists of slots: --slots PATH")
    if given.llm is not None:
        from data_synth.text.expansion import ExpansionOptions, enlarge

        options = ExpansionOptions.parse(
            {"model": given.llm, "endpoint": given.llm_endpoint, "texts": given.llm_texts, "seed": seed}
        )
        out = given.out.absolute()
        enlargement = enlarge(list(texts), options, given.llm_cache or out.with_name(f"{out.name}.llm"))
        print(f"language model: {enlargement}")
        texts = [*texts, *enlargement.texts]
    return texts


class _Parser(argparse.ArgumentParser):
    """A mistake is an error of the house: one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message, do=f"see {self.prog} --help")


def _parser(program: str) -> argparse.ArgumentParser:
    """All options. Those of `SynthesisOptions` are left out where they are not typed, so that its defaults hold."""
    parser = _Parser(
        prog=program,
        description=__doc__,
        epilog=f"`{program} report DIR` writes a page of what was made: yields, histograms, clips to listen to; "
        f"`{program} merge DIR... --out DIR` joins the shards that --shard made.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("texts", type=Path, metavar="TEXTS", help=".txt, .csv, .tsv, .jsonl (text, id, domain)")
    add("--out", type=Path, required=True, help="a new folder, or one to go on with")
    add("--preset", metavar="NAME", help="paper-bark or paper-speecht5; other options come before it")
    add("--config", type=Path, metavar="PATH", help=".yaml or .json with any option of synthesis by name, e.g. voices")
    add("--domain", default="target", help="of texts that name none (default: %(default)s)")
    add("--quiet", "-q", action="store_true", help="no progress bar")
    _add_voices(parser.add_argument_group("voices", argument_default=argparse.SUPPRESS))
    _add_gates(parser.add_argument_group("gates and storage", argument_default=argparse.SUPPRESS))
    _add_texts(parser.add_argument_group("more texts"))
    return parser


def _add_voices(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--engines", help="voices, e.g. hibari,piper:joe,flite:slt+rms (default: hibari)")
    add("--voices-per-text", type=int, metavar="N", help="clips a text (default: 1)")
    add("--seed", type=int, help="of everything that is drawn (default: 0)")
    add("--speed", type=float, nargs=2, metavar=("LOW", "HIGH"), help="1 = the voice's own; `voices` of a config file "
        "gives single voices their own speed and pitch")  # fmt: skip
    add("--language", help="of the texts (default: en)")
    add("--spoken", choices=["auto", "none"], help="auto: numbers and the like in words for the engine")
    add(
        "--channel",
        dest="channel_file",
        type=Path,
        default=None,
        metavar="PATH",
        help=".yaml or .json: what the clips go through",
    )


def _add_gates(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--gates",
        dest="gates_named",
        default=None,
        metavar="default|none|PATH",
        help="none, or thresholds from a .yaml or .json",
    )
    add("--round-trip", default=None, metavar="NAME", help="have a recogniser listen, e.g. whisper:pip:whisper-base")
    add("--max-cer", type=float, default=None, metavar="RATE", help="character errors it may make (default: 0.3)")
    add("--keep-rejected", action="store_true", help="store rejected clips too, to be listened to")
    add("--attempts", type=int, metavar="N", help="at a clip, each with a new seed (default: 3)")
    add("--timeout", type=float, dest="timeout_s", metavar="SECONDS", help="for one clip (default: 120)")
    add("--workers", type=int, metavar="N", help="processes (default: 1)")
    add("--storage", choices=["flac", "opus", "shar", "shar-opus"], help="a file a clip (default: flac), or tar shards "
        "that Lhotse reads as OUT/shar")  # fmt: skip
    add("--clips-per-tar", type=_positive, default=1000, metavar="N", help="of shar (default: 1000)")
    add("--shard", default=None, metavar="I/N", help="make the I-th of N parts, each in a folder of its own; `merge` "
        "joins them")  # fmt: skip


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _add_texts(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--slots", type=Path, metavar="PATH", help="TEXTS are templates; a folder of SLOT.txt, a .json or a .yaml")
    add("--count", type=int, metavar="N", help="texts of the templates (default: all)")
    add("--llm", metavar="MODEL", help="enlarge every domain by a language model (default: none)")
    add("--llm-endpoint", default="http://localhost:8000/v1", metavar="URL", help="of OpenAI's protocol")
    add("--llm-texts", type=int, default=100, metavar="N", help="new texts a domain (default: %(default)s)")
    add("--llm-cache", type=Path, metavar="DIR", help="of answers (default: OUT.llm)")


if __name__ == "__main__":
    sys.exit(main())
