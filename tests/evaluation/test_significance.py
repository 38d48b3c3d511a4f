"""The bootstrap against closed forms, and what clustering does."""

from __future__ import annotations

import numpy as np
import pytest

from speech_analogy.evaluation.significance import REPLICATES, compare, holm, wer_interval

WORDS = np.full(200, 5)
EACH = [str(index) for index in range(200)]


def test_equal_systems_differ_by_nothing() -> None:
    errors = np.random.default_rng(0).integers(0, 5, 200)
    found = compare(errors, errors, WORDS, EACH)
    assert (found.points, found.relative, found.ci95, found.p_value) == (0.0, 0.0, (0.0, 0.0), 1.0)


def test_constant_difference_is_certain() -> None:
    errors = np.random.default_rng(0).integers(1, 5, 200)
    found = compare(errors - 1, errors, WORDS, EACH)
    assert found.points == pytest.approx(-20.0)
    assert found.ci95 == pytest.approx((-20.0, -20.0))
    assert found.p_value == pytest.approx(1 / (1 + REPLICATES))


def test_sign_turns_with_the_order() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.integers(0, 4, 200), generator.integers(0, 5, 200)
    one, other = compare(a, b, WORDS, EACH), compare(b, a, WORDS, EACH)
    assert one.points == pytest.approx(-other.points)
    assert one.p_value == other.p_value


def test_interval_is_the_normal_one_for_many_independent_utterances() -> None:
    """Binomial errors of equal-length utterances: mean ± 1.96 σ/√n, to the bootstrap's own noise."""
    errors = np.random.default_rng(2).binomial(5, 0.3, 2000)
    words = np.full(2000, 5)
    low, high = wer_interval(errors, words, [str(i) for i in range(2000)])
    wide = 1.96 * 100 * errors.std() / 5 / np.sqrt(2000)
    mean = 100 * errors.sum() / words.sum()
    assert low == pytest.approx(mean - wide, abs=0.1)
    assert high == pytest.approx(mean + wide, abs=0.1)


def test_repetitions_of_a_prompt_do_not_narrow_the_interval() -> None:
    """Ten copies of every utterance, clustered, give the interval of one; unclustered they would pretend to know."""
    errors = np.random.default_rng(3).binomial(5, 0.3, 200)
    once = np.diff(wer_interval(errors, WORDS, EACH))[0]
    clustered = np.diff(wer_interval(np.tile(errors, 10), np.tile(WORDS, 10), EACH * 10))[0]
    pretended = np.diff(wer_interval(np.tile(errors, 10), np.tile(WORDS, 10), [str(i) for i in range(2000)]))[0]
    assert clustered == pytest.approx(once, rel=0.03)
    assert pretended < 0.5 * once


def test_p_values_are_uniform_where_nothing_differs() -> None:
    """Under the null about 5 % of p-values are below 0.05."""
    generator = np.random.default_rng(4)
    below = 0
    for _ in range(100):
        a, b = generator.binomial(5, 0.3, 100), generator.binomial(5, 0.3, 100)
        below += compare(a, b, np.full(100, 5), EACH[:100]).p_value < 0.05
    assert 0 <= below <= 12


def test_order_of_utterances_changes_nothing() -> None:
    generator = np.random.default_rng(5)
    a, b = generator.integers(0, 4, 200), generator.integers(0, 5, 200)
    clusters = [str(i % 20) for i in range(200)]
    order = generator.permutation(200)
    shuffled = compare(a[order], b[order], WORDS, [clusters[i] for i in order])
    assert shuffled == compare(a, b, WORDS, clusters)


def test_holm_against_a_hand_computation() -> None:
    """Sorted: 0.005·4, 0.01·3, 0.03·2, and 0.04·1 raised to the one before; the order of the keys stays."""
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert list(found) == ["a", "b", "c", "d"]
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({"one": 0.2}) == {"one": 0.2}
    assert holm({1: 0.9, 2: 0.8}) == {1: 1.0, 2: 1.0}
    assert holm({}) == {}
