"""Stages that make speech and text: the corpus, its division, the channel, synthesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lhotse import CutSet

from data_synth.engines.gpus import gpus_of
from data_synth.run.channel_cuts import channel_cuts
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.adaptation.split import (
    SOURCE_PARTS,
    Split,
    divide,
    divide_source,
    fit_for_a_window,
    leave_out,
    read_cuts_of,
    read_texts,
    texts_of,
    write_parts,
    write_texts,
)
from speech_analogy.adaptation.stages.params.base import CUTS_FILE, TEXTS_FILE
from speech_analogy.adaptation.stages.params.speech_params import (
    ChannelParams,
    CorpusParams,
    GivenTextsParams,
    JoinedParams,
    SourceSplitParams,
    SpeechParams,
    SplitParams,
    SynthesisParams,
    TargetSplitParams,
    TargetTextsParams,
    TextsParams,
    UnlabelledParams,
)
from speech_analogy.adaptation.stages.work import Work
from speech_analogy.corpora.audio import require_recordings
from speech_analogy.corpora.cuts import LONGEST_CUT_S, domain_of, read_unlabelled, text_of
from speech_analogy.corpora.read import read_cuts, write_cuts
from speech_analogy.errors import DataError
from speech_analogy.foundation.progress import say


def corpus_stage(work: Work[CorpusParams]) -> None:
    """Read the corpus: every usable utterance."""
    params = work.params
    cuts = read_cuts_of(params.corpus, params.language, Path(params.folder), progress=work.progress)
    kept = fit_for_a_window(cuts) if params.fit_for_a_window else cuts
    write_cuts(kept, work.folder / CUTS_FILE, overwrite=True)


def split_stage(work: Work[SplitParams | TargetSplitParams]) -> None:
    """Divide the corpus and write its parts."""
    write_parts(_split(work), work.folder)


def texts_stage(work: Work[TextsParams | TargetTextsParams]) -> None:
    """Write the texts that C speaks."""
    write_texts(_split(work).target_texts, work.folder / TEXTS_FILE)


def _split(work: Work[SplitParams | TargetSplitParams | TextsParams | TargetTextsParams]) -> Split:
    params = work.params
    if isinstance(params, TargetSplitParams | TargetTextsParams):
        cuts = leave_out(read_cuts(params.cuts.folder / CUTS_FILE), params.left_out)
    else:
        cuts = work.cuts(params.cuts)
    return divide(cuts, params.split, params.seed)


def source_split_stage(work: Work[SourceSplitParams]) -> None:
    """Divide source speech and write both parts."""
    params = work.params
    parts = divide_source(work.cuts(params.cuts), params.hold_out, params.utterances, params.seed)
    for name, cuts in zip(SOURCE_PARTS, parts, strict=True):
        write_cuts(cuts, work.folder / params.outputs[name], overwrite=True)


def given_texts_stage(work: Work[GivenTextsParams]) -> None:
    """Write the texts that C speaks."""
    write_texts(work.params.given, work.folder / TEXTS_FILE)


def unlabelled_stage(work: Work[UnlabelledParams]) -> None:
    """Write cuts of recordings whose texts are not known."""
    cuts, _ = read_unlabelled(Path(work.params.path))
    write_cuts(cuts, work.folder / CUTS_FILE, overwrite=True)


def channel_stage(work: Work[ChannelParams]) -> None:
    """Send one part of the real speech through the recipe's channel."""
    params, cuts = work.params, work.cuts(work.params.cuts)
    for cut in cuts:
        require_recordings(cut)
    channel_cuts(
        cuts,
        work.folder,
        params.options,
        params.seed,
        params.copies,
        progress=work.progress,
        clips_root=work.final,
    )


def synthesis_stage(work: Work[SynthesisParams]) -> None:
    """Speak the texts of one side: every source utterance's text for A, every distinct target text for C."""
    params = work.params
    texts = texts_of(work.cuts(params.texts)) if params.side == "source" else read_texts(work.path(params.texts))
    _speak(work, texts)


def speech_stage(work: Work[SpeechParams]) -> None:
    """Speak the texts of one domain."""
    _speak(work, list(work.params.spoken))


def _speak(work: Work[SynthesisParams | SpeechParams], texts: list[Text]) -> None:
    """Goes on where it was killed: synthesis keeps a ledger in the folder that is being built."""
    options = work.params.options
    if not gpus_of(options.engines):
        options = options.model_copy(update={"workers": max(options.workers, torch.get_num_threads())})
    synthesize(texts, work.folder, options, progress=work.progress, clips_root=work.final)
    _leave_out_long_clips(work)


def _leave_out_long_clips(work: Work[Any]) -> None:
    """Without gates, or by a channel's pace and echo, a clip may be longer than what can be learned from."""
    path = work.folder / CUTS_FILE
    cuts = read_cuts(path)
    kept = fit_for_a_window(cuts)
    if len(kept) == len(cuts):
        return
    left_out = f"{len(cuts) - len(kept)} of {len(cuts)}"
    if not len(kept):
        rule = f"every clip is longer than {LONGEST_CUT_S:g} s, which cannot be learned from"
        raise DataError(rule, field=work.name, value=left_out, do="give shorter texts")
    if work.progress:
        say(f"{work.name}: {left_out} clips are longer than {LONGEST_CUT_S:g} s and left out")
    write_cuts(kept, path, overwrite=True)


def joined_stage(work: Work[JoinedParams]) -> None:
    """The clips of several domains in one file; only those whose texts B has (A) or the target has (C)."""
    wanted = {(domain, text.casefold()) for domain, text in _domains_and_texts(work)}
    cuts = [
        cut
        for speech in work.params.spoken
        for cut in read_cuts(speech.folder / CUTS_FILE)
        if (domain_of(cut), text_of(cut).casefold()) in wanted
    ]
    write_cuts(CutSet.from_cuts(cuts), work.folder / CUTS_FILE, overwrite=True)


def _domains_and_texts(work: Work[JoinedParams]) -> list[tuple[str, str]]:
    wanted = work.params.wanted
    if wanted.file == TEXTS_FILE:
        return [(text.domain, text.text) for text in read_texts(work.path(wanted))]
    return [(domain_of(cut), text_of(cut)) for cut in work.cuts(wanted)]
