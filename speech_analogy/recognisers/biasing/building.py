"""From texts to what biases decoding: the scores of each step, or the tokens of a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from speech_analogy.recognisers.biasing.folder import read_bias
from speech_analogy.recognisers.biasing.ngram import NgramModel, witten_bell
from speech_analogy.recognisers.biasing.options import Spelling, TextBias, TextBiasOptions
from speech_analogy.recognisers.biasing.scoring import StepScores, WeightedNgram
from speech_analogy.recognisers.biasing.trie import WordTrie
from speech_analogy.recognisers.biasing.words import boundary_tokens, rare_words

BETWEEN_WORDS = ", "  # of a prompt
STOPS = (".", "?", "!")


@dataclass(frozen=True)
class Writing:
    """How a recogniser writes: text to tokens, and which tokens there are."""

    tokens: Callable[[str], list[int]]
    """Of a text, as the recogniser was trained to write it."""
    pieces: Callable[[], Sequence[str]]
    """The vocabulary's pieces, in the order of their ids."""
    vocabulary: int
    """Scores of a step."""
    end: int


@dataclass(frozen=True)
class TextKnowledge:
    """What is known of a domain: n-grams of its text and of the background, and its rare words."""

    options: TextBiasOptions
    text: NgramModel
    background: NgramModel | None
    words: tuple[str, ...]


def knowledge_of(bias: TextBias, writing: Writing) -> TextKnowledge:
    """Count texts, or read the folder that was made of them.

    Raises:
        DataError, ConfigError: the folder is broken, or was made for a recogniser with other tokens.
    """
    if bias.folder is not None:
        made = read_bias(bias.folder, writing.vocabulary, writing.end)
        return TextKnowledge(bias.options, made.text, made.background, made.words)
    options = bias.options

    def counted(texts: Iterable[str], order: int) -> NgramModel:
        rows = [writing.tokens(form) for text in texts for form in spellings(text, options.spelling)]
        return witten_bell(rows, order, writing.vocabulary, writing.end)

    return TextKnowledge(
        options,
        counted(bias.texts, options.order),
        counted(bias.background, options.background_order) if bias.background else None,
        tuple(rare_words(bias.texts, bias.background, writing.tokens)),
    )


def step_scores(known: TextKnowledge, writing: Writing) -> StepScores | None:
    """What each step adds; None where the method or its weights add nothing."""
    options = known.options
    if options.method == "trie" and options.word_bonus and known.words:
        forms = [form for word in known.words for form in _word_forms(word, options.spelling)]
        trie = WordTrie(map(writing.tokens, forms), options.word_bonus, boundary_tokens(writing.pieces()))
        return StepScores(writing.vocabulary, writing.end, trie=trie)
    if options.method != "lm":
        return None
    ngrams = []
    if options.text_weight:
        ngrams.append(WeightedNgram(known.text, options.text_weight))
    if options.background_weight and known.background is not None:
        ngrams.append(WeightedNgram(known.background, -options.background_weight))
    if not ngrams and not options.token_bonus:
        return None
    return StepScores(writing.vocabulary, writing.end, tuple(ngrams), options.token_bonus)


def prompt_tokens(known: TextKnowledge, writing: Writing) -> list[int]:
    """The domain's rare words as text that came before, as many as fit; empty for another method."""
    if known.options.method != "prompt":
        return []
    found: list[int] = []
    for count in range(1, len(known.words) + 1):
        tokens = writing.tokens(BETWEEN_WORDS.join(known.words[:count]) + STOPS[0])
        if len(tokens) > known.options.prompt_tokens:
            break
        found = tokens
    return found


def spellings(text: str, spelling: Spelling) -> list[str]:
    """A text as it is counted. Published Whisper writes a capital and a stop, which many text files lack."""
    sentence = text[:1].upper() + text[1:]
    sentence += "" if sentence.endswith((*STOPS, ",", ":")) else STOPS[0]
    return {"written": [text], "sentence": [sentence], "both": list(dict.fromkeys([text, sentence]))}[spelling]


def _word_forms(word: str, spelling: Spelling) -> list[str]:
    return [word] if spelling == "written" else list(dict.fromkeys([word, word[:1].upper() + word[1:]]))
