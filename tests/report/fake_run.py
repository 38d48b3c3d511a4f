"""A made-up run folder: results.json, hypotheses and sine-wave recordings, scored as a real run would be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import soundfile

from speech_analogy.evaluation.results import (
    Comparison,
    Hypothesis,
    Results,
    ScalePoint,
    Selection,
    System,
    Test,
    write_hypotheses,
)

RATE_HZ = 16_000
DRAWS = 400  # of the bootstrap
SCALES = (0.25, 0.5, 0.75, 1.0, 1.25)
CHOSEN = 0.75
ERRORS = {
    "zero_shot": 0.62,
    "source_synthetic": 0.58,
    "source_real": 0.47,
    "target_synthetic": 0.48,
    "mixed": 0.37,
    "target_real": 0.36,
    "all_real": 0.30,
}
"""System -> the chance that it has a word wrong."""
ANALOGY_ERRORS = {0.25: 0.42, 0.5: 0.36, 0.75: 0.32, 1.0: 0.31, 1.25: 0.35}
LOOPS = ("source_synthetic",)  # these repeat themselves on some utterances
SENTENCES = (
    "We call it {}.", "My favourite is the {}!", "Do you like {}?", "I saw a {} in the {}.",
    "Please, one {} and two {}s.",
    "It's a {}, isn't it?",
)  # fmt: skip
NOUNS = (
    "bear", "rabbit", "noodle", "dumpling", "sweater", "raincoat", "harbour", "museum", "giraffe", "spinach",
    "library", "trousers", "tiger", "mushroom",
)  # fmt: skip
MISHEARD = {
    "bear": ("beer", "bare"), "rabbit": ("robot", "rapid"), "noodle": ("new door", "needle"),
    "dumpling": ("damp link", "dumping"), "sweater": ("sweeter", "weather"), "raincoat": ("rain cold", "rainbow"),
    "harbour": ("harper", "hardware"), "giraffe": ("draft",), "spinach": ("spanish",), "we": ("will", "they"),
    "is": ("ease", ""), "a": ("", "the"), "call": ("cool", "core"), "like": ("light", "lie"), "saw": ("so", "sir"),
}  # fmt: skip


def references(count: int) -> list[str]:
    """The raw texts; the same for every `count`."""
    rng = np.random.default_rng(7)
    texts = []
    for index in range(count):
        nouns = [str(noun) for noun in rng.choice(NOUNS, 2)]
        texts.append(SENTENCES[index % len(SENTENCES)].format(*nouns))
    return texts


def normalise(text: str) -> str:
    """Enough of a normaliser for the texts above."""
    kept = "".join(letter for letter in text.lower() if letter.isalnum() or letter in " '")
    return " ".join(kept.split())


def misheard(text: str, chance: float, rng: np.random.Generator, loop: bool) -> str:
    """The text with every word wrong by `chance`, and sometimes a repetition loop at its end."""
    words = []
    for word in text.split():
        options = MISHEARD.get(word, (word[: max(len(word) - 2, 1)], word + "s"))
        words.append(str(rng.choice(options)) if rng.random() < chance else word)
    if loop and rng.random() < 0.15:
        words += words[-2:] * int(rng.integers(5, 50))
    return " ".join(" ".join(words).split())


def hypotheses(name: str, chance: float, count: int, audio: Sequence[str], seed: int) -> list[Hypothesis]:
    """What one system transcribed, with jiwer's counts."""
    rng = np.random.default_rng(seed)
    rows = []
    for index, text in enumerate(references(count)):
        reference = normalise(text)
        decoded = misheard(reference, chance, rng, name in LOOPS)
        score = jiwer.process_words(reference, decoded)
        rows.append(
            Hypothesis(
                id=f"utt-{index:03d}", domain=("food", "animals", "clothing", "places")[index % 4],
                speaker=f"s{index % 12:02d}", cluster=f"s{index % 12:02d}", audio=audio[index],
                duration_s=1.2 + index % 4,
                reference=text, hypothesis=decoded.capitalize() + ".", reference_normalised=reference,
                hypothesis_normalised=decoded, substitutions=score.substitutions, deletions=score.deletions,
                insertions=score.insertions, words=len(reference.split()),
            )
        )  # fmt: skip
    return rows


def rates(rows: list[Hypothesis]) -> tuple[np.ndarray, np.ndarray]:
    """(errors, words) by cluster, each (clusters,)."""
    clusters = sorted({row.cluster for row in rows})
    errors = [sum(r.substitutions + r.deletions + r.insertions for r in rows if r.cluster == c) for c in clusters]
    return np.array(errors), np.array([sum(r.words for r in rows if r.cluster == c) for c in clusters])


def draws(rows: list[Hypothesis]) -> np.ndarray:
    """WER in percent of every draw of a clustered bootstrap, (DRAWS,); the same draws for every system."""
    errors, words = rates(rows)
    picked = np.random.default_rng(0).integers(0, len(words), (DRAWS, len(words)))
    return np.asarray(100 * errors[picked].sum(1) / words[picked].sum(1))


def score(name: str, scale: float | None, rows: list[Hypothesis], file: str) -> System:
    """The system's row of results.json."""
    sums = {
        key: sum(getattr(row, key) for row in rows) for key in ("substitutions", "deletions", "insertions", "words")
    }
    errors = [row.substitutions + row.deletions + row.insertions for row in rows]
    low, high = np.percentile(draws(rows), (2.5, 97.5))
    return System(
        name=name, scale=scale, chosen=scale == CHOSEN, wer=100 * sum(errors) / sums["words"],
        ci95=(float(low), float(high)),
        cer=100 * jiwer.cer([r.reference_normalised for r in rows], [r.hypothesis_normalised for r in rows]),
        raw_wer=100 * jiwer.wer([r.reference for r in rows], [r.hypothesis for r in rows]), utterances=len(rows),
        over_100=sum(wrong > row.words for wrong, row in zip(errors, rows, strict=True)),
        window="full" if name == "zero_shot" else "trimmed", seconds=12.5, hypotheses_file=file, **sums,
    )  # fmt: skip


def compare(system: System, against: System, after: list[Hypothesis], before: list[Hypothesis]) -> Comparison:
    """A paired bootstrap of two systems."""
    difference = draws(after) - draws(before)
    low, high = np.percentile(difference, (2.5, 97.5))
    tail = float(min((difference >= 0).mean(), (difference <= 0).mean()))
    return Comparison(
        system=system.name, against=against.name, scale=system.scale, difference=system.wer - against.wer,
        relative=(system.wer - against.wer) / against.wer, ci95=(float(low), float(high)), p_value=min(1.0, 2 * tail),
    )  # fmt: skip


def write_recordings(run: Path, count: int) -> list[str]:
    """Sine waves below the run folder; their paths, relative to it."""
    (run / "clips").mkdir(parents=True, exist_ok=True)
    paths = [f"clips/utt-{index:03d}.flac" for index in range(count)]
    for index, path in enumerate(paths):
        time = np.arange(int((1.2 + index % 4) * RATE_HZ)) / RATE_HZ
        soundfile.write(run / path, 0.2 * np.sin(2 * np.pi * (220 + 10 * index) * time), RATE_HZ)
    return paths


def make_run(
    run: Path, names: Sequence[str] = tuple(ERRORS), scales: Sequence[float] = SCALES, count: int = 60
) -> Results:
    """Write a whole run folder and return its results."""
    audio = write_recordings(run, count)
    wanted = [(name, None, ERRORS[name]) for name in names] + [("analogy", s, ANALOGY_ERRORS[s]) for s in scales]
    decoded: dict[tuple[str, float | None], list[Hypothesis]] = {}
    scored: dict[tuple[str, float | None], System] = {}
    for seed, (name, scale, chance) in enumerate(wanted):
        file = f"hypotheses/{name}{'' if scale is None else f'-{scale:g}'}.jsonl"
        decoded[name, scale] = hypotheses(name, chance, count, audio, seed)
        scored[name, scale] = score(name, scale, decoded[name, scale], file)
        (run / "hypotheses").mkdir(exist_ok=True)
        write_hypotheses(decoded[name, scale], run / file)
    chosen = ("analogy", CHOSEN)
    rivals = [
        key
        for key in scored
        if chosen in scored and key[0] in ("target_synthetic", "mixed", "source_real", "zero_shot")
    ]
    results = Results(
        test=Test(
            recipe="fake", title="A made-up run: food, animals, clothing and places",
            domains=["food", "animals", "clothing", "places"], utterances=count, speakers=12, clusters=12,
            cluster="speaker",
            duration_s=2.7 * count, dropped_empty_references=1, normaliser="openai-whisper English",
            note="Nothing here was recorded: the speech is sine waves and the errors are drawn at random.",
        ),
        systems=list(scored.values()),
        comparisons=[compare(scored[chosen], scored[key], decoded[chosen], decoded[key]) for key in rivals],
        **describe(scales),
    )  # fmt: skip
    results.write(run / "results.json")
    return results


def describe(scales: Sequence[float]) -> dict[str, Any]:
    """The parts of results.json that are not measured on the test set."""
    curve = [ScalePoint(scale=s, wer=30 + 14 * (s - 0.8) ** 2) for s in (0.0, *scales)] if scales else []
    tuned = ("source_synthetic", "source_real", "target_synthetic", "mixed")
    return {
        "selection": Selection(
            scale=CHOSEN, scale_curve=curve, scale_chosen_on="held-out source speech: 200 utterances of 12 speakers",
            training={name: {"learning_rate": 3e-5, "epochs": 2} for name in tuned},
            training_trials=[
                {"system": name, "learning_rate": rate, "epochs": 2, "wer": 50 + 1e5 * abs(rate - 3e-5)}
                for name in tuned for rate in (1e-5, 3e-5)
            ],
        ),
        "counts": {
            "source_real": {"utterances": 2187, "hours": 2.31, "speakers": 200, "texts": 1650},
            "source_synthetic": {"utterances": 2187, "hours": 1.9, "speakers": 6, "texts": 1650},
            "target_synthetic": {"utterances": 626, "hours": 0.41, "speakers": 6, "texts": 313},
        },
        "command": "speech-analogy adapt recipes/speechocean762/recipe.yaml --out runs/fake --set training.epochs=2",
        "versions": {"speech-analogy": "0.1.0", "torch": "2.15.0", "transformers": "5.23.0"},
        "machine": {"cpu": "a processor", "cores": "2", "memory": "8 GB"},
        "seconds": {"corpora": 2.1, "synthesize": 312.0, "finetune": 1480.0, "analogy": 4.2, "transcribe": 260.0},
    }  # fmt: skip


if __name__ == "__main__":
    import sys

    from speech_analogy.report.report import write_report

    make_run(Path(sys.argv[1]))
    print(write_report(Path(sys.argv[1])))
