"""n-grams: hand-computed probabilities, sums over the vocabulary, ARPA there and back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_analogy.errors import DataError
from speech_analogy.recognisers.biasing.arpa import read_arpa, write_arpa
from speech_analogy.recognisers.biasing.ngram import NgramModel, witten_bell

VOCABULARY, END = 6, 5
TEXTS = [[0, 1], [0, 2]]
texts = st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=6)


def all_of(model: NgramModel, written: list[int]) -> torch.Tensor:
    """log p of every token, by the way that decoding takes."""
    found = model.next_tokens(written)
    total = model.unigram + found.shift
    total[found.ids] += found.differences
    return total


def test_a_bigram_by_hand() -> None:
    """Tokens 0 1 end 0 2 end: six of four kinds, so p(0) = (2 + 4/6) / 10; behind 0 come two, each once."""
    model = witten_bell(TEXTS, 2, VOCABULARY, END)
    p0 = (2 + 4 / 6) / 10
    p1 = (1 + 4 / 6) / 10
    assert model.log_probability(0, []) == pytest.approx(math.log((2 + p0) / 3))  # behind the start: 0 twice, one kind
    assert model.log_probability(1, [0]) == pytest.approx(math.log((1 + 2 * p1) / 4))
    assert model.log_probability(0, [0]) == pytest.approx(math.log(2 * p0 / 4))  # never seen there
    assert model.log_probability(3, [0]) == pytest.approx(math.log(2 / 4 * (4 / 6) / 10))  # never seen at all
    assert model.log_probability(END, [0, 1]) == pytest.approx(math.log((1 + p0) / 2))  # end is as frequent as 0


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@settings(deadline=None)
@given(texts=texts, written=st.lists(st.integers(0, 5), max_size=7))
def test_probabilities_sum_to_one_and_all_at_once_is_one_by_one(
    order: int, texts: list[list[int]], written: list[int]
) -> None:
    model = witten_bell(texts, order, VOCABULARY, END)
    found = all_of(model, written)
    assert float(found.exp().sum()) == pytest.approx(1, abs=1e-5)
    singly = torch.tensor([model.log_probability(token, written) for token in range(VOCABULARY)])
    torch.testing.assert_close(found, singly, atol=1e-5, rtol=1e-5)


def test_a_context_is_as_long_as_the_order_lets_it() -> None:
    """A trigram does not tell what stood three tokens before; a 4-gram does."""
    texts = [[0, 1, 2, 3], [4, 1, 2, 0]]
    trigram, longer = (witten_bell(texts, order, VOCABULARY, END) for order in (3, 4))
    assert trigram.log_probability(3, [0, 1, 2]) == trigram.log_probability(3, [4, 1, 2])
    assert longer.log_probability(3, [0, 1, 2]) > longer.log_probability(3, [4, 1, 2])


@pytest.mark.parametrize("order", [1, 2, 4])
@settings(deadline=None, max_examples=10)
@given(texts=texts, written=st.lists(st.integers(0, 4), max_size=5))
def test_arpa_there_and_back(
    tmp_path_factory: pytest.TempPathFactory, order: int, texts: list[list[int]], written: list[int]
) -> None:
    file = tmp_path_factory.mktemp("arpa") / "text.arpa"
    model = witten_bell(texts, order, VOCABULARY, END)
    write_arpa(model, file)
    torch.testing.assert_close(all_of(read_arpa(file, VOCABULARY, END), written), all_of(model, written))


def test_an_arpa_file_by_hand(tmp_path: Path) -> None:
    """log10 p, the n-gram, log10 of the backoff weight; what has no entry backs off."""
    file = tmp_path / "hand.arpa"
    file.write_text(
        "\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-2\t<unk>\n-99\t<s>\t-0.5\n-0.3\t1\t-0.25\n-1\t</s>\n\n"
        "\\2-grams:\n-0.1\t<s> 1\n\n\\end\\\n"
    )
    model = read_arpa(file, VOCABULARY, END)
    assert model.order == 2
    ln10 = math.log(10)
    assert model.log_probability(1, []) == pytest.approx(-0.1 * ln10)
    assert model.log_probability(END, []) == pytest.approx((-0.5 - 1) * ln10)
    assert model.log_probability(END, [1]) == pytest.approx((-0.25 - 1) * ln10)
    assert model.log_probability(2, [3]) == pytest.approx(-2 * ln10)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("hello\n", "holds no n-grams"),
        ("\\1-grams:\n-1\tmenu\n", "token ids"),
        ("\\1-grams:\n-1\t7\n", "token ids below 6"),
        ("\\1-grams:\nnone\t1\n", "must begin with a number"),
        ("\\1-grams:\nnan\t1\n", "must be finite"),
        ("\\2-grams:\n-1\t1\n", "2 words"),
    ],
)
def test_what_is_no_arpa_file_of_tokens_is_refused(tmp_path: Path, content: str, rule: str) -> None:
    file = tmp_path / "wrong.arpa"
    file.write_text(content)
    with pytest.raises(DataError, match=rule):
        read_arpa(file, VOCABULARY, END)
