"""Readers that turn a corpus into Lhotse cuts with a `domain`, and the seeded ways to divide them."""

from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.read import READERS, import_corpus, read_corpus, read_cuts, write_cuts
from speech_analogy.corpora.reading import CorpusReading, Problem
from speech_analogy.corpora.splits import by_domain, digest, hold_out_prompts, hold_out_speakers, subset

__all__ = [
    "READERS",
    "CorpusReading",
    "Problem",
    "by_domain",
    "digest",
    "hold_out_prompts",
    "hold_out_speakers",
    "import_corpus",
    "load_audio",
    "read_corpus",
    "read_cuts",
    "subset",
    "write_cuts",
]
