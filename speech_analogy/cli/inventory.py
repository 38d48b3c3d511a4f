"""The verbs that say what there is: `doctor`, `systems`; `engines` and `voices` are data_synth's."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from data_synth.cli.listing import AsJson

SYMBOLS = {"ok": "ok", "note": "note", "lack": "missing", "fault": "FAULT"}
CANNOT_WORK_STATUS = 1


def doctor_command(
    language: Annotated[str, typer.Option(help="Of the texts that are to be spoken.")] = "en",
    as_json: AsJson = False,
) -> None:
    """What this installation can do: engines, voices, weights, hub, machine, packages; and what mends each lack."""
    from speech_analogy.foundation.listing import print_table
    from speech_analogy.inventory.doctor import examine, verdict

    found = examine(language)
    able, said = verdict(found)
    if as_json:
        content = {"able": able, "verdict": said, "findings": [asdict(finding) for finding in found]}
        print(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        rows = [[one.topic, one.name, SYMBOLS[one.state], one.detail] for one in found]
        print_table(["", "what", "state", "found"], rows)
        mending = dict.fromkeys((one.mend, one.name) for one in found if one.mend and one.state in ("lack", "fault"))
        if mending:
            print("\nWhat is missing, and what mends it:")
            print_table(["for", "command"], [[name, mend] for mend, name in mending])
        print(f"\n{said}")
    if not able:
        raise typer.Exit(CANNOT_WORK_STATUS)


def systems_command(as_json: AsJson = False) -> None:
    """List the systems that a recipe can compare: what each is trained on or made of, and what it needs."""
    from speech_analogy.foundation.listing import print_table
    from speech_analogy.inventory.systems import list_systems

    found = list_systems()
    if as_json:
        print(json.dumps([asdict(record) for record in found], ensure_ascii=False, indent=2))
        return
    rows = [
        [one.name, ", ".join(one.trained_on), one.made_of, ", ".join(one.needs), "yes" if one.default else ""]
        for one in found
    ]
    print_table(["system", "trained on", "made of", "needs", "by default"], rows)
