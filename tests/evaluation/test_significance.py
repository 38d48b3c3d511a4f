"""Intervals and p-values against closed forms and hand computations, and what clustering does."""

from __future__ import annotations

import itertools

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


def test_interval_of_ten_clusters_by_hand() -> None:
    """Of the 511 divisions into two and the data, the 25 most extreme mean WERs at each end lie outside."""
    errors, words = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3]), np.array([10, 10, 12, 8, 10, 20, 10, 10, 10, 14])
    parts = [
        [index in part for index in range(10)]
        for size in range(1, 10)
        for part in itertools.combinations(range(10), size)
        if 0 in part
    ]
    pairs = [
        [100 * errors[inside].sum() / words[inside].sum() for inside in (np.array(p), ~np.array(p))] for p in parts
    ]
    assert len(pairs) == 511
    low, high = sorted(map(min, pairs))[24], sorted(map(max, pairs))[-25]
    assert wer_interval(errors, words, EACH[:10]) == pytest.approx((low, high))


def test_p_value_of_ten_clusters_by_hand() -> None:
    """Differences 1 to 10 with two small ones the other way: 2 · 4 of 2¹⁰ signs give a sum as far from zero."""
    differences = np.array([-1, -2, 3, 4, 5, 6, 7, 8, 9, 10])
    sums = [abs(int(np.dot(signs, np.abs(differences)))) for signs in itertools.product((-1, 1), repeat=10)]
    expected = sum(found >= differences.sum() for found in sums) / 1024
    against = np.full(10, 20)
    found = compare(against + differences, against, np.full(10, 50), EACH[:10])
    assert found.p_value == pytest.approx(expected)
    assert found.points == pytest.approx(100 * 49 / 500)


def test_p_value_and_interval_say_the_same() -> None:
    """At most 0.05 where zero lies outside the interval, above it where zero lies inside."""
    generator = np.random.default_rng(6)
    for clusters in (10, 13, 30):
        for shift in (0, 0, 1):
            a, b = (
                generator.binomial(5, 0.3, 200) + shift * generator.integers(0, 2, 200),
                generator.binomial(5, 0.3, 200),
            )
            found = compare(a, b, WORDS, [str(i % clusters) for i in range(200)])
            assert found.p_value is not None
            assert (found.p_value <= 0.05) == (not found.ci95[0] <= 0 <= found.ci95[1])


def test_fewer_than_ten_clusters_have_an_interval_and_no_p_value() -> None:
    errors = np.random.default_rng(0).integers(0, 5, 200)
    for clusters in (1, 2, 9):
        found = compare(errors // 2, errors, WORDS, [str(i % clusters) for i in range(200)])
        assert found.p_value is None
        assert found.ci95[0] <= found.points <= found.ci95[1]
    assert compare(errors // 2, errors, WORDS, [str(i % 10) for i in range(200)]).p_value is not None


@pytest.mark.parametrize("clusters", [10, 50])
def test_systems_that_do_not_differ_are_seldom_told_apart(clusters: int) -> None:
    """Speakers of unequal sizes, each of which may suit one system: the test keeps its 5 %.

    The larger simulation is tests/benchmarks/intervals. Of 400 tests at 5 %, 31 or more are false once in 87
    times; at 10 %, 95 times in 100.
    """
    generator, found = np.random.default_rng(4), 0
    for number in range(400):
        sizes = np.maximum(1, generator.lognormal(1.5, 0.8, clusters).round()).astype(int)
        speaker = np.repeat(np.arange(clusters), sizes)
        words = generator.integers(1, 9, len(speaker))
        hard = generator.normal(-0.6, 0.6, clusters)[speaker]
        chances = [1 / (1 + np.exp(-hard - generator.normal(0, 0.6, clusters)[speaker])) for _ in range(2)]
        one, other = (generator.binomial(words, chance) for chance in chances)
        p = compare(one, other, words, [str(name) for name in speaker], seed=number).p_value
        found += p is not None and p <= 0.05
    assert 5 <= found <= 30


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


def test_holm_leaves_out_what_was_not_tested() -> None:
    assert holm({"a": 0.02, "b": None, "c": 0.5}) == {"a": 0.04, "b": None, "c": 0.5}
