"""Stages that make speech and text: the corpus, its division, the channel, synthesis."""

from __future__ import annotations

from pathlib import Path

import torch

from data_synth.channel.chain import ChannelOptions
from data_synth.engines.gpus import gpus_of
from data_synth.plan.options import SynthesisOptions
from data_synth.run.channel_cuts import channel_cuts
from data_synth.synthesize import synthesize
from speech_analogy.adaptation.recipe import CorpusOptions, Recipe
from speech_analogy.adaptation.split import Split, read_cuts_of, read_texts, split, texts_of, write_parts, write_texts
from speech_analogy.adaptation.stages.work import (
    CUTS_FILE,
    TEXTS_FILE,
    Work,
)
from speech_analogy.corpora.read import read_cuts, write_cuts


def corpus_stage(work: Work) -> None:
    """Read the corpus: every usable utterance."""
    corpus, folder = CorpusOptions.model_validate(work.params["corpus"]), Path(work.params["folder"])
    cuts = read_cuts_of(corpus, work.params["language"], folder, progress=work.progress)
    write_cuts(cuts, work.folder / CUTS_FILE, overwrite=True)


def split_stage(work: Work) -> None:
    """Divide the corpus and write its parts."""
    write_parts(_split(work), work.folder)


def texts_stage(work: Work) -> None:
    """Write the texts that C speaks."""
    write_texts(_split(work).target_texts, work.folder / TEXTS_FILE)


def _split(work: Work) -> Split:
    return split(read_cuts(work.inputs["corpus"] / CUTS_FILE), Recipe.model_validate(work.params["recipe"]))


def channel_stage(work: Work) -> None:
    """Send one part of the real speech through the recipe's channel."""
    cuts = read_cuts(work.inputs["split"] / f"{work.params['part']}.jsonl.gz")
    options = ChannelOptions.model_validate(work.params["options"])
    channel_cuts(
        cuts,
        work.folder,
        options,
        work.params["seed"],
        work.params["copies"],
        progress=work.progress,
        clips_root=work.final,
    )


def synthesis_stage(work: Work) -> None:
    """Speak the texts of one side: every source utterance's text for A, every distinct target text for C."""
    if work.params["side"] == "source":
        texts = texts_of(read_cuts(work.inputs["split"] / "source_train.jsonl.gz"))
    else:
        texts = read_texts(work.inputs["texts"] / TEXTS_FILE)
    options = SynthesisOptions.model_validate(work.params["options"])
    if not gpus_of(options.engines):
        options = options.model_copy(update={"workers": max(options.workers, torch.get_num_threads())})
    synthesize(texts, work.folder, options, progress=work.progress, clips_root=work.final)
