"""n-grams in ARPA files, which KenLM, SRILM and others read; words are token ids, `</s>` is the end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from speech_analogy.errors import DataError
from speech_analogy.foundation.files import write_whole
from speech_analogy.foundation.user_files.plain import read_text
from speech_analogy.recognisers.biasing.ngram import START, Context, Continuations, NgramModel

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0  # log10 of what is never written: the start
DIGITS = 9  # a probability that is read is what was written to 1e-8
LN10 = math.log(10)
MOST_BYTES = 1 << 30


def write_arpa(model: NgramModel, path: Path) -> None:
    """Write a model. `<unk>` is the probability of each single token that is not listed, not of all together."""
    levels: dict[int, list[str]] = {order: [] for order in range(1, model.order + 1)}
    levels[1] += [f"{_number(model.unlisted)}\t{UNKNOWN}", f"{NEVER:g}\t{BEGIN}{_backoff(model, (START,))}"]
    for token in sorted(model.unigrams):
        levels[1].append(f"{_number(model.unigrams[token])}\t{_word(model, token)}{_backoff(model, (token,))}")
    for context in sorted(model.contexts):
        listed = model.contexts[context].log_probabilities
        words = " ".join(_word(model, token) for token in context)
        for token in sorted(listed):
            line = f"{_number(listed[token])}\t{words} {_word(model, token)}{_backoff(model, (*context, token))}"
            levels[len(context) + 1].append(line)
    head = ["\\data\\", *(f"ngram {order}={len(lines)}" for order, lines in levels.items()), ""]
    body = [line for order, lines in levels.items() for line in (f"\\{order}-grams:", *lines, "")]
    write_whole(path, "\n".join([*head, *body, "\\end\\", ""]))


def read_arpa(path: Path, vocabulary: int, end: int) -> NgramModel:
    """Read a model whose words are token ids.

    Raises:
        DataError: it is no such file.
    """
    unlisted, order = math.log(1 / vocabulary), 0
    unigrams: dict[int, float] = {}
    listed: dict[Context, dict[int, float]] = {}
    backoffs: dict[Context, float] = {}
    for number, order, log10, words, backoff in _entries(path):
        if words == [UNKNOWN]:
            unlisted = log10 * LN10
            continue
        tokens = tuple(_token(path, number, word, vocabulary, end) for word in words)
        if backoff is not None:
            backoffs[tokens] = backoff * LN10
        if tokens == (START,):
            continue
        if order == 1:
            unigrams[tokens[0]] = log10 * LN10
        else:
            listed.setdefault(tokens[:-1], {})[tokens[-1]] = log10 * LN10
    if not order:
        raise DataError("holds no n-grams", file=path, do="name a file in ARPA format, of token ids")
    contexts = {
        context: Continuations(listed.get(context, {}), backoffs.get(context, 0.0))
        for context in {**listed, **backoffs}
    }
    return NgramModel(order, vocabulary, end, unlisted, unigrams, contexts)


def _entries(path: Path) -> Iterator[tuple[int, int, float, list[str], float | None]]:
    """(line, order, log10 probability, words, log10 backoff or None) of every n-gram."""
    order = 0
    for number, line in enumerate(read_text(path, most_bytes=MOST_BYTES).split("\n"), start=1):
        stripped = line.strip()
        if stripped.startswith("\\"):
            head = stripped.removeprefix("\\").removesuffix("-grams:")
            order = int(head) if head.isdecimal() else 0
        elif order and stripped:
            cells = stripped.split()
            if len(cells) not in (order + 1, order + 2):
                raise _broken(path, number, f"must hold a number, {order} words and perhaps a number")
            try:
                numbers = [float(cells[0]), *(float(cell) for cell in cells[order + 1 :])]
            except ValueError:
                raise _broken(path, number, "must begin with a number") from None
            if not all(map(math.isfinite, numbers)):
                raise _broken(path, number, "must be finite")
            yield number, order, numbers[0], cells[1 : order + 1], numbers[1] if len(numbers) > 1 else None


def _token(path: Path, line: int, word: str, vocabulary: int, end: int) -> int:
    if word in (BEGIN, END):
        return START if word == BEGIN else end
    if not (word.isascii() and word.isdecimal() and int(word) < vocabulary):
        raise _broken(path, line, f"words must be token ids below {vocabulary}", word)
    return int(word)


def _broken(path: Path, line: int, rule: str, value: str | None = None) -> DataError:
    return DataError(rule, file=path, field=f"line {line}", value=value)


def _number(natural: float) -> str:
    return f"{natural / LN10:.{DIGITS}g}"


def _word(model: NgramModel, token: int) -> str:
    return BEGIN if token == START else END if token == model.end else str(token)


def _backoff(model: NgramModel, context: Context) -> str:
    found = model.contexts.get(context)
    return "" if found is None else f"\t{_number(found.log_backoff)}"
