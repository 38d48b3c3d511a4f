"""The verb `speak`: its options, the texts that they ask for, and the values of `SynthesisOptions` that they give."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speech_analogy.errors import ConfigError

if TYPE_CHECKING:
    from data_synth.plan.plan import Texts

NAMED_GATES: dict[str, dict[str, Any] | None] = {"default": {}, "none": None}
VOICES, GATES, STORAGE, MORE_TEXTS = "Voices", "Gates", "Work and storage", "More texts"  # panels of the help


class SpokenChoice(StrEnum):
    """What engines are given for numbers and the like."""

    auto = "auto"
    none = "none"


class StorageChoice(StrEnum):
    """How clips are stored."""

    flac = "flac"
    opus = "opus"
    shar = "shar"
    shar_opus = "shar-opus"


QuietBar = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def speak_command(
    texts: Annotated[Path, typer.Argument(metavar="TEXTS", help=".txt, .csv, .tsv, .jsonl (text, id, domain).")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder, or one to go on with.")],
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="paper-bark or paper-speecht5; other options override it.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help=".yaml or .json with any option of synthesis by name, e.g. voices."),
    ] = None,
    domain: Annotated[str, typer.Option(help="Of texts that name none.")] = "target",
    quiet: QuietBar = False,
    engines: Annotated[
        str | None,
        typer.Option(help="Voices, e.g. hibari,piper:joe,flite:slt+rms (default: hibari).", rich_help_panel=VOICES),
    ] = None,
    voices_per_text: Annotated[
        int | None, typer.Option(metavar="N", help="Clips per text (default: 1).", rich_help_panel=VOICES)
    ] = None,
    variants: Annotated[
        bool | None,
        typer.Option(
            "--variants/--no-variants",
            help="With more clips a text than voices: further voices made of them, or the same ones again "
            "(default: variants).",
            rich_help_panel=VOICES,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of everything that is drawn (default: 0).", rich_help_panel=VOICES)
    ] = None,
    speed: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="1 = the voice's own; `voices` of a config file gives single voices their own speed and pitch.",
            rich_help_panel=VOICES,
        ),
    ] = None,
    language: Annotated[str | None, typer.Option(help="Of the texts (default: en).", rich_help_panel=VOICES)] = None,
    spoken: Annotated[
        SpokenChoice | None,
        typer.Option(help="auto: numbers and the like in words for the engine.", rich_help_panel=VOICES),
    ] = None,
    channel: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help=".yaml or .json: what the clips go through.", rich_help_panel=VOICES),
    ] = None,
    gates: Annotated[
        str | None,
        typer.Option(
            metavar="default|none|PATH", help="none, or thresholds from a .yaml or .json.", rich_help_panel=GATES
        ),
    ] = None,
    round_trip: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Have a recogniser check the clips, e.g. whisper:pip:whisper-base.",
            rich_help_panel=GATES,
        ),
    ] = None,
    max_cer: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="Character errors allowed to it (default: 0.3).", rich_help_panel=GATES),
    ] = None,
    keep_rejected: Annotated[
        bool, typer.Option("--keep-rejected", help="Store rejected clips too, to listen to.", rich_help_panel=GATES)
    ] = False,
    attempts: Annotated[
        int | None,
        typer.Option(metavar="N", help="Per clip, each with a new seed (default: 3).", rich_help_panel=GATES),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="For one clip (default: 120).", rich_help_panel=STORAGE),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes (default: 1).", rich_help_panel=STORAGE)
    ] = None,
    storage: Annotated[
        StorageChoice | None,
        typer.Option(
            help="One file per clip, or tar shards that Lhotse reads as OUT/shar (default: flac).",
            rich_help_panel=STORAGE,
        ),
    ] = None,
    clips_per_tar: Annotated[int, typer.Option(min=1, metavar="N", help="Of shar.", rich_help_panel=STORAGE)] = 1000,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Make the I-th of N parts, each in a folder of its own; `join` puts them together.",
            rich_help_panel=STORAGE,
        ),
    ] = None,
    slots: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="TEXTS are templates; a folder of SLOT.txt, a .json or a .yaml.",
            rich_help_panel=MORE_TEXTS,
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(metavar="N", help="Texts from the templates (default: all).", rich_help_panel=MORE_TEXTS),
    ] = None,
    llm: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Enlarge every domain by a language model.", rich_help_panel=MORE_TEXTS),
    ] = None,
    llm_endpoint: Annotated[
        str, typer.Option(metavar="URL", help="That speaks OpenAI's protocol.", rich_help_panel=MORE_TEXTS)
    ] = "http://localhost:8000/v1",
    llm_texts: Annotated[
        int, typer.Option(metavar="N", help="New texts per domain.", rich_help_panel=MORE_TEXTS)
    ] = 100,
    llm_cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Of answers (default: OUT.llm).", rich_help_panel=MORE_TEXTS)
    ] = None,
) -> None:
    """Speak texts into a folder of labelled clips."""
    from data_synth.plan.options import SynthesisOptions
    from data_synth.plan.plan import Shard
    from data_synth.synthesize import synthesize

    typed = {
        "engines": engines,
        "voices_per_text": voices_per_text,
        "variants": variants,
        "seed": seed,
        "speed": speed,
        "language": language,
        "spoken": spoken and spoken.value,
        "keep_rejected": keep_rejected or None,
        "attempts": attempts,
        "timeout_s": timeout,
        "workers": workers,
        "storage": storage and storage.value,
    }
    values = _values({name: value for name, value in typed.items() if value is not None}, config, preset)
    if channel is not None:
        values["channel"] = _mapping(channel)
    options = SynthesisOptions.parse(_with_gates(values, gates, round_trip, max_cer))
    part = None if shard is None else Shard.parse(shard)
    asked = _filled_in(texts, domain, slots, count, seed or 0)
    if llm is not None:
        server = {"model": llm, "endpoint": llm_endpoint, "texts": llm_texts, "seed": seed or 0}
        absolute = out.absolute()
        asked = _enlarged(asked, server, llm_cache or absolute.with_name(f"{absolute.name}.llm"))
    made = synthesize(asked, out, options, progress=not quiet, shard=part, clips_per_tar=clips_per_tar)
    print(made.summary())


def _values(typed: Mapping[str, Any], config: Path | None, preset: str | None) -> dict[str, Any]:
    """Values of `SynthesisOptions`: what was typed overrides the config file, which overrides the preset."""
    from data_synth.plan.presets import with_preset

    values = {} if config is None else _mapping(config)
    values |= typed
    return values if preset is None else with_preset(preset, values)


def _with_gates(
    values: dict[str, Any], named: str | None, round_trip: str | None, max_cer: float | None
) -> dict[str, Any]:
    """The values with the gates that were named and the recogniser that is to check the clips."""
    if named is not None:
        values = {**values, "gates": NAMED_GATES[named] if named in NAMED_GATES else _mapping(named)}
    if round_trip is None:
        if max_cer is not None:
            raise ConfigError("requires --round-trip", field="--max-cer", do="name a recogniser: --round-trip NAME")
        return values
    if named == "none":
        raise ConfigError("needs gates, but --gates is none", field="--round-trip", do="leave out --gates none")
    checking: dict[str, Any] = {"recogniser": round_trip}
    if max_cer is not None:
        checking["max_character_error_rate"] = max_cer
    return {**values, "gates": {**(values.get("gates") or {}), "round_trip": checking}}


def _filled_in(path: Path, domain: str, slots: Path | None, count: int | None, seed: int) -> Texts:
    """The texts of a file, filled in where they are templates; a line is printed about each step."""
    from data_synth.text.texts import TextFile

    texts = TextFile(path, domain)
    print(f"read: {texts}")
    if slots is None:
        if count is not None:
            raise ConfigError("requires --slots", field="--count", do="name the lists of slots: --slots PATH")
        return texts
    from data_synth.text.templates import expand_templates, read_slots

    expansion = expand_templates(list(texts), read_slots(slots), count, seed)
    print(f"templates: {expansion}")
    return expansion.texts


def _enlarged(texts: Texts, server: Mapping[str, Any], cache: Path) -> Texts:
    """The texts and those that a language model adds."""
    from data_synth.text.expansion import ExpansionOptions, enlarge

    enlargement = enlarge(list(texts), ExpansionOptions.parse(server), cache)
    print(f"language model: {enlargement}")
    return [*texts, *enlargement.texts]


def _mapping(path: str | Path) -> dict[str, Any]:
    from speech_analogy.foundation.user_files.mappings import read_mapping

    return read_mapping(Path(path))
