"""The verbs that list what there is to speak with: `engines`, `voices`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from data_synth.cli.speak import QuietBar

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")]
LISTED_LANGUAGES = 8


def engines_command(as_json: AsJson = False) -> None:
    """List the text-to-speech engines: their voices, or what they lack and the command that mends it."""
    from data_synth.plan.inventory import list_engines
    from speech_analogy.foundation.listing import print_table

    found = list_engines()
    if as_json:
        print(json.dumps([asdict(record) for record in found], ensure_ascii=False, indent=2))
        return
    rows = [
        [
            record.name,
            "ready" if record.ready else "not ready",
            _some(record.languages),
            ", ".join(record.voices) or "; ".join(filter(None, (record.lack, record.mend))),
        ]
        for record in found
    ]
    print_table(["engine", "state", "languages", "voices taken when none is named, or what is missing"], rows)


def voices_command(
    language: Annotated[str | None, typer.Option(help="Only voices that speak it, e.g. de.")] = None,
    engines: Annotated[str | None, typer.Option(help="Only of these, e.g. flite,piper.")] = None,
    listen: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a sample of every voice that is listed.")
    ] = None,
    as_json: AsJson = False,
    quiet: QuietBar = False,
) -> None:
    """List the voices of every engine that is ready, with language, sex and licence where they are known."""
    from data_synth.cli.samples import write_samples
    from data_synth.plan.default_voices import nobody_speaks
    from data_synth.plan.inventory import list_voices
    from data_synth.plan.variants import VARIANTS
    from speech_analogy.foundation.listing import print_table

    wanted = [name.strip() for name in engines.split(",") if name.strip()] if engines else []
    found = list_voices(language, wanted)
    if language is not None and not found:
        raise nobody_speaks(language)
    if as_json:
        print(json.dumps([asdict(record) for record in found], ensure_ascii=False, indent=2))
    else:
        rows = [
            [
                f"{record.engine}:{record.voice}",
                _some(record.languages) or "not known",
                record.sex,
                record.licence,
                "yes" if record.default else "",
                "" if record.here else "downloaded when first used",
            ]
            for record in found
        ]
        print_table(["voice", "language", "sex", "licence", "by default", ""], rows)
        variants = ", ".join(f"~{name}" for name in VARIANTS)
        print(f"\n{len(found)} voices. Each has variants, e.g. {rows[0][0] if rows else 'flite:slt'}~low: {variants}.")
    if listen is not None:
        here = [record for record in found if record.here]
        written, failed = write_samples(here, listen, language, progress=not quiet)
        said = f"{len(written)} samples: {listen}"
        typer.echo("\n".join([said, *(f"not spoken: {line}" for line in failed)]), err=as_json)


def _some(languages: tuple[str, ...]) -> str:
    more = len(languages) - LISTED_LANGUAGES
    return ", ".join(languages[:LISTED_LANGUAGES]) + (f" and {more} more" if more > 0 else "")
