"""How often two systems that do not differ are said to, and how often a WER's interval holds the true one.

    python tests/benchmarks/intervals/null.py --draws 2000 --out RESULTS.md

Recordings are drawn of speakers of unequal sizes; a speaker is hard for both systems or for one, an utterance is hard
for both, and now and then a decoder loops. The two systems are drawn alike, so each difference found is a false one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech_analogy.evaluation.significance import FEWEST_CLUSTERS, compare, wer_interval

CLUSTERS = (2, 5, 10, 20, 50)
LEVEL = 0.05
MEDIAN_SIZE, SPREAD_OF_SIZES = 10, 0.8  # utterances of a speaker; of the logarithm
LONGEST_WORDS = 8
LONGEST_LOOP_WORDS = 60
POPULATION = 50_000  # speakers whose WER is the true one
BOOTSTRAPPED = 2_000  # replicates of the bootstrap that is compared with


@dataclass(frozen=True)
class World:
    """How speakers, utterances and systems differ: standard deviations of log odds; loops: share of utterances."""

    name: str
    speaker: float = 0.6
    utterance: float = 0.8
    system_of_speaker: float = 0.6
    loops: float = 0.01

    def drawn(self, speakers: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Speaker, words and the two systems' errors of every utterance, each (utterances,)."""
        sizes = generator.lognormal(np.log(MEDIAN_SIZE), SPREAD_OF_SIZES, speakers)
        speaker = np.repeat(np.arange(speakers), np.maximum(1, sizes.round()).astype(int))
        words = generator.integers(1, LONGEST_WORDS + 1, len(speaker))
        hard = -0.6 + generator.normal(0, self.speaker, speakers)[speaker]
        hard += generator.normal(0, self.utterance, len(speaker))
        errors = []
        for _ in range(2):
            odds = hard + generator.normal(0, self.system_of_speaker, speakers)[speaker]
            wrong = generator.binomial(words, 1 / (1 + np.exp(-odds)))
            looped = generator.random(len(speaker)) < self.loops
            errors.append(wrong + looped * generator.integers(5, LONGEST_LOOP_WORDS, len(speaker)))
        return speaker, words, errors


WORLDS = (
    World("as above"),
    World("speakers unlike for each system", system_of_speaker=1.2),
    World("many loops", system_of_speaker=0.3, loops=0.05),
    World("systems alike for every speaker, no loop", system_of_speaker=0.0, loops=0.0),
)


def bootstrap(rows: np.ndarray, speaker: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """100 Σ row 0 / Σ row 1 of resampled speakers, (BOOTSTRAPPED,): what was done before."""
    count = speaker.max() + 1
    sums = np.stack([np.bincount(speaker, row, count) for row in rows])
    drawn = sums @ generator.multinomial(count, np.full(count, 1 / count), size=BOOTSTRAPPED).T
    return np.asarray(100 * drawn[0] / drawn[1])


def false_and_kept(world: World, speakers: int, draws: int) -> dict[str, float | None]:
    """Of every 100 draws: false findings, and intervals of one system's WER that hold the true one."""
    generator = np.random.default_rng(7)
    _, words, errors = world.drawn(POPULATION, np.random.default_rng(8))
    true = 100 * errors[0].sum() / words.sum()
    found = {"false": 0, "false before": 0, "kept": 0, "kept before": 0}
    tested = False
    for number in range(draws):
        speaker, words, (one, other) = world.drawn(speakers, generator)
        names = [str(name) for name in speaker]
        p = compare(one, other, words, names, seed=number).p_value
        tested = p is not None
        found["false"] += p is not None and p <= LEVEL
        low, high = wer_interval(one, words, names, seed=number)
        found["kept"] += low <= true <= high
        resampled = bootstrap(np.stack([one - other, words]), speaker, generator)
        observed = 100 * (one.sum() - other.sum()) / words.sum()
        beyond = np.sum(np.abs(resampled - observed) >= abs(observed) - 1e-9)
        found["false before"] += (1 + beyond) / (1 + BOOTSTRAPPED) <= LEVEL
        low, high = np.percentile(bootstrap(np.stack([one, words]), speaker, generator), [2.5, 97.5])
        found["kept before"] += low <= true <= high
    shares: dict[str, float | None] = {name: 100 * count / draws for name, count in found.items()}
    return shares if tested else {**shares, "false": None}


def lines(worlds: Sequence[World], clusters: Sequence[int], draws: int) -> Iterator[str]:
    """The table."""
    yield "| world | speakers | false at 5 % | bootstrap, as before | intervals that hold the WER | bootstrap |"
    yield "|---|--:|--:|--:|--:|--:|"
    for world in worlds:
        for count in clusters:
            found = false_and_kept(world, count, draws)
            false = "no p-value" if found["false"] is None else f"{found['false']:.1f}"
            mark = " †" if count < FEWEST_CLUSTERS else ""
            yield (
                f"| {world.name} | {count} | {false} | {found['false before']:.1f} | "
                f"{found['kept']:.1f}{mark} | {found['kept before']:.1f} |"
            )


def main() -> None:
    """Simulate and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with given.out.open("w", encoding="utf-8") as file:
        for line in lines(WORLDS, CLUSTERS, given.draws):
            print(line, file=file, flush=True)


if __name__ == "__main__":
    main()
