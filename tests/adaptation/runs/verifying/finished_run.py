"""A finished run with every kind of figure in `results.json`, its stages, its published model and its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from speech_analogy.adaptation.execution.schedule import execute
from speech_analogy.adaptation.plan.stage import Plan, Stage
from speech_analogy.adaptation.records.mark import mark
from speech_analogy.adaptation.runs.key import write_key
from speech_analogy.adaptation.runs.measured import publish
from speech_analogy.adaptation.stages.params.base import DECODERS_FILE
from speech_analogy.adaptation.stages.params.stand_in_params import DECISION_FILE
from speech_analogy.adaptation.stages.work import write_evaluation
from speech_analogy.evaluation.answers.ensembles import consensus
from speech_analogy.evaluation.answers.questions import answered, question
from speech_analogy.evaluation.evaluate import Evaluation, compare_hypotheses, score_utterances
from speech_analogy.evaluation.measures.records import EntitySpan
from speech_analogy.evaluation.measures.utterances import Utterance
from speech_analogy.evaluation.normalise import normaliser
from speech_analogy.evaluation.overlap import by_spoken, spoken_texts
from speech_analogy.evaluation.results import (
    DecoderResult,
    Results,
    ScalePoint,
    Selection,
    StrategyChoice,
    Test,
    write_hypotheses,
)
from speech_analogy.evaluation.significance import holm
from speech_analogy.evaluation.stand_in_estimate import CandidateScore, StandInScores, decide
from speech_analogy.foundation.hash_sets import short_hash
from speech_analogy.report.report import write_report
from tests.adaptation.building import InThisProcess
from tests.faults.staged import files_stage

WORDS = [
    "turn",
    "the",
    "light",
    "on",
    "off",
    "play",
    "some",
    "jazz",
    "in",
    "kitchen",
    "please",
    "stop",
    "now",
    "louder",
]
UTTERANCES, SPEAKERS = 40, 12
SCALES = (0.5, 1.0)
WRONG = {"zero_shot": 0.5, "mixed": 0.3, "analogy-0.5": 0.3, "analogy-1": 0.2}  # share of wrong words


def finished_run(run: Path) -> Plan:
    """Everything that a run leaves, from transcripts of four systems on 40 utterances; one stage is the model's."""
    dice = np.random.default_rng(0)
    texts = [" ".join(dice.choice(WORDS, 6)) for _ in range(UTTERANCES)]
    found = {name: _evaluated(name, texts, share) for name, share in WRONG.items()}
    own = normaliser("en")
    spoken = frozenset(short_hash(own(text).strip()) for text in texts[::3])
    asked = question(
        own, target=[*texts[:9], "louder"], source=["turn the light"], terms=("jazz", "kitchen"), chosen="a list"
    )
    seconds = {f"evaluate-{name}": _stage_of(run, name, one) for name, one in found.items()}
    systems = []
    for name, one in found.items():
        system = answered(by_spoken(one.system, one.hypotheses, spoken), one.hypotheses, asked)
        systems.append(
            system.model_copy(
                update={
                    "hypotheses_file": f"hypotheses/{name}.jsonl",
                    "source_wer": 31.5,
                    "chosen": name == "analogy-1",
                }
            )
        )
        write_hypotheses(one.hypotheses, run / "hypotheses" / f"{name}.jsonl")
    rows = found["analogy-1"].hypotheses
    compared = [
        compare_hypotheses(rows, found[name].hypotheses, ("analogy", name), 1.0) for name in ("zero_shot", "mixed")
    ]
    corrected = holm({one.against: one.p_value for one in compared})
    stand_ins = [
        StandInScores(label=label, texts=9, utterances=30, speakers=9, words=300, scores=_scores(number))
        for number, label in enumerate(("a", "b"))
    ]
    estimate = decide(stand_ins, "analogy", ["mixed", "analogy"])
    decoders = [DecoderResult(decoder="ct2", utterances=9, wer=12.5, ours=11.5, difference=1.0, ci95=(-1.0, 2.0))]
    curve = [ScalePoint(scale=scale, wer=20 + scale) for scale in SCALES]
    trials: list[dict[str, Any]] = [{"system": "mixed", "learning_rate": 1e-4, "epochs": 2, "wer": 33.0}]
    choice = {"scale": 0.5, "curve": [one.model_dump() for one in curve], "chosen_on": "held-out source speech"}
    regrets = {one.scale: one.wer - min(systems[2].wer, systems[3].wer) for one in systems[2:]}
    seconds |= {
        "choose-scale": _written(
            run, "choose-scale", {"choice.json": choice, DECISION_FILE: estimate.model_dump(mode="json")}
        ),
        "choose-scale-by-agreement": _written(run, "choose-scale-by-agreement", {"choice.json": {"scale": 1.0}}),
        "choose-training": _written(run, "choose-training", {"choice.json": {"chosen": {}, "trials": trials}}),
        "published-in-other-decoders": _written(
            run, "published-in-other-decoders", {DECODERS_FILE: [one.model_dump() for one in decoders]}
        ),
        "evaluate-mixed-on-source_dev": _written(
            run, "evaluate-mixed-on-source_dev", {"score.json": {"system": {"name": "mixed", "wer": 31.5}}}
        ),
    }
    members = {name.partition("-")[0]: found[name].hypotheses for name in ("zero_shot", "mixed", "analogy-0.5")}
    together, _ = consensus(members)
    plan = Plan(run, [_published()])
    execute(plan, InThisProcess(1, {}), show=False)
    seconds["published"] = plan.seconds("published")
    Results(
        test=Test(
            recipe="r", title="t", domains=["d"], utterances=UTTERANCES, speakers=SPEAKERS, clusters=SPEAKERS,
            cluster="speaker", duration_s=2.5 * UTTERANCES, dropped_empty_references=0, normaliser="n",
            texts=spoken_texts(rows, spoken),
        ),
        systems=systems,
        comparisons=[one.model_copy(update={"p_holm": corrected[one.against]}) for one in compared],
        published=estimate.system,
        estimate=estimate,
        other_decoders=decoders,
        ensembles=[together],
        selection=Selection(
            scale=0.5, scale_curve=curve, scale_chosen_on=choice["chosen_on"], training_trials=trials,
            strategies=[
                StrategyChoice(strategy="source_dev", scale=0.5, taken=True, regret=regrets[0.5]),
                StrategyChoice(strategy="agreement", scale=1.0, regret=regrets[1.0]),
            ],
        ),
        seconds=seconds,
    ).write(run / "results.json")  # fmt: skip
    as_written(plan)
    publish(plan, plan.stages["published"]["model"])
    write_report(run, estimate.system)
    return plan


def as_written(plan: Plan) -> None:
    """Digests of the results and transcripts as they are now."""
    files = [path.relative_to(plan.run).as_posix() for path in sorted((plan.run / "hypotheses").iterdir())]
    write_key(plan, ["results.json", *files])


def _published() -> Stage:
    return files_stage("published")


def _evaluated(label: str, texts: list[str], share: float) -> Evaluation:
    """Each word is wrong by chance; some utterances loop in the first pass, one is taken for silence."""
    dice = np.random.default_rng(len(label) + round(100 * share))
    name, _, scale = label.partition("-")
    heard = [
        Utterance(
            id=f"u{number}",
            reference=text,
            hypothesis="" if number == 5 else _misheard(text, share, dice),
            speaker=f"s{number % SPEAKERS}",
            duration_s=2.5,
            one_pass=f"{text} {text}" if number in (5, 7) else None,
            silent=number == 5,
            traits={"sex": "female" if number % 2 else "male"},
            entities=(EntitySpan(type="word", text=text.split()[0]),),
        )
        for number, text in enumerate(texts)
    ]
    return score_utterances(
        heard, name=name, scale=float(scale) if scale else None, window="trimmed", seconds=3.0 + share
    )


def _misheard(text: str, share: float, dice: np.random.Generator) -> str:
    return " ".join(f"{word}s" if dice.random() < share else word for word in text.split())


def _scores(number: int) -> list[CandidateScore]:
    return [
        CandidateScore(system="zero_shot", errors=150),
        CandidateScore(system="mixed", errors=90 + number),
        CandidateScore(system="analogy", scale=0.5, errors=80),
        CandidateScore(system="analogy", scale=1.0, errors=70 + number),
    ]


def _stage_of(run: Path, label: str, found: Evaluation) -> float:
    folder = run / "stages" / f"evaluate-{label}-0123456789ab"
    folder.mkdir(parents=True)
    write_evaluation(found, folder)
    mark(folder, folder.name.rpartition("-")[0], 7.5, {})
    return 7.5


def _written(run: Path, name: str, files: dict[str, Any]) -> float:
    """A finished stage with these files, and how long it took."""
    folder = run / "stages" / f"{name}-0123456789ab"
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content))
    mark(folder, name, 4.5, {})
    return 4.5
