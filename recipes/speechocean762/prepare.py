"""Make `data/`: speechocean762 without its five topics, and five topics that stand in for them.

    python recipes/speechocean762/prepare.py --data FOLDER        # as for the recipe: the corpus itself

Systems and their parameters can be chosen on these, and the five topics of the test stay untouched. With `--all-topics`
they are kept beside the five others, for `calibration.yaml`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path

from speech_analogy.corpora.reading import Problem
from speech_analogy.corpora.speechocean762 import JSONL_NAME, SpeechoceanOptions, utterances
from speech_analogy.errors import DataError, SpeechAnalogyError

HERE = Path(__file__).parent
CORPUS, DATA = HERE / "../../../shared/data/speechocean762", HERE / "data"
OTHERS = ("child-other", "adult-other")  # what has none of the five topics
# The first topic that has a word of the text wins.
STAND_INS = {
    "people": "mother father mom dad brother sister grandma grandpa family parents baby uncle aunt son daughter wife "
    "husband child children boy girl man woman friend friends",
    "time": "day today tomorrow yesterday morning night week month year years spring summer winter autumn hour "
    "evening weekend birthday moment",
    "leisure": "play football basketball game games ball swim music song sing dance run running movie film watch "
    "piano guitar party win story book read draw art",
    "house": "house room bed door window table chair wash bathroom floor desk box computer phone car bus money work "
    "job business buy pay",
    "body": "tired sick ill pain hurt doctor head hand hands eye eyes nose mouth face hair leg arm heart",
}


def stand_in(text: str) -> str | None:
    """The stand-in topic of a text, if it has one."""
    words = set(re.findall(r"[a-z']+", text.lower()))
    return next((topic for topic, named in STAND_INS.items() if words & set(named.split())), None)


def prepare(corpus: Path, out: Path, *, all_topics: bool = False) -> Counter[str]:
    """Write `out/utterances.jsonl`, whose recordings stay where they are; returns domain -> utterances.

    Args:
        all_topics: the five topics of the test are kept.

    Raises:
        DataError: the corpus is not there, an utterance cannot be read, or `out` has such a table already.
    """
    table = out / JSONL_NAME
    if table.exists():
        raise DataError("the data exist", file=table, do="remove them to make them again")
    if not corpus.exists():
        raise DataError("the corpus is not there", file=corpus, do="give its folder with --data")
    lines, counts = [], Counter[str]()
    for one in utterances(corpus.resolve(), SpeechoceanOptions()):
        if isinstance(one, Problem):
            raise DataError(one.rule, file=one.file, value=one.id)
        if one.domain in OTHERS or all_topics:
            domain = (stand_in(one.text) if one.domain in OTHERS else None) or one.domain
            row = {"id": one.id, "split": one.custom["split"], "domain": domain, "text": one.text}
            row |= {"speaker": one.speaker, "age": one.custom["age"], "gender": one.custom["gender"]}
            lines.append(json.dumps({**row, "audio": str(one.audio)}, ensure_ascii=False) + "\n")
            counts[domain] += 1
    out.mkdir(parents=True, exist_ok=True)
    partial = table.with_suffix(".partial")
    partial.write_text("".join(lines), encoding="utf-8")
    partial.rename(table)
    return counts


def main() -> int:
    """Parse the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CORPUS, help="the corpus (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=DATA, help="where the data go (default: %(default)s)")
    parser.add_argument("--all-topics", action="store_true", help="keep the five topics of the test")
    given = parser.parse_args()
    try:
        counts = prepare(given.data, given.out.resolve(), all_topics=given.all_topics)
    except SpeechAnalogyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    counted = ", ".join(f"{count} {domain}" for domain, count in sorted(counts.items()))
    print(f"{given.out / JSONL_NAME}: {counted}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
