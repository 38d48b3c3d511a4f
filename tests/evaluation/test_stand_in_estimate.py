"""Decisions and predictions by stand-in domains: by hand, and on simulated domains."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from speech_analogy.evaluation.stand_in_estimate import (
    CONFIDENCE,
    CandidateScore,
    StandInScores,
    best_scales,
    candidates_of,
    decide,
    expected_change,
    expected_wer,
    moderated,
    predicted,
)

USUAL = "mean_of_mixed_and_analogy"
ADAPTED = ("target_synthetic", "mixed", "analogy", USUAL)


def scored(label: str, words: int = 1000, **errors: int) -> StandInScores:
    """A stand-in's scores: `analogy_0_5=300` is the analogy at λ = 0.5."""
    rows = []
    for name, count in errors.items():
        system, _, scale = name.partition("__")
        value = float(scale.replace("_", ".")) if scale else None
        rows.append(CandidateScore(system=system, scale=value, errors=count))
    return StandInScores(label=label, texts=50, utterances=60, words=words, scores=rows)


def three(**errors: tuple[int, int, int]) -> list[StandInScores]:
    """Three stand-ins, each candidate's errors on every one."""
    return [scored(f"d{at}", **{name: counts[at] for name, counts in errors.items()}) for at in range(3)]


def test_scale_is_the_lowest_mean_of_log_wers_not_of_errors() -> None:
    own = three(analogy__0_5=(100, 100, 900), analogy__1_0=(60, 60, 990))
    # 0.6 · 0.6 · 1.1 < 1: two easy domains gain more than the hard one loses, although the sum of errors is higher.
    assert best_scales(own)["analogy"] == ("analogy", 1.0)


def test_equal_scales_take_the_smallest() -> None:
    own = three(analogy__1_0=(100, 100, 100), analogy__0_5=(100, 100, 100))
    assert best_scales(own)["analogy"] == ("analogy", 0.5)


def test_only_candidates_that_all_have_are_compared() -> None:
    own = [scored("a", mixed=10, analogy__0_5=10), scored("b", mixed=10)]
    assert candidates_of(own) == [("mixed", None)]


def everyone(**changed: tuple[int, int, int]) -> list[StandInScores]:
    rows: dict[str, tuple[int, int, int]] = {
        "zero_shot": (600, 600, 600),
        "source_real": (500, 500, 500),
        "target_synthetic": (450, 450, 450),
        "mixed": (320, 320, 320),
        "analogy__0_5": (330, 330, 330),
        f"{USUAL}__0_5": (300, 300, 300),
    }
    return three(**{**rows, **changed})


def test_the_usual_system_stays_where_another_is_lower_by_chance() -> None:
    found = decide(everyone(mixed=(295, 298, 296)), USUAL, ADAPTED)
    assert (found.system, found.scale, found.gained) == (USUAL, 0.5, True)
    assert "less than one standard error" in found.why


def test_another_system_is_taken_where_it_is_clearly_lower() -> None:
    found = decide(everyone(mixed=(240, 235, 238)), USUAL, ADAPTED)
    assert (found.system, found.scale) == ("mixed", None)


@pytest.mark.parametrize(("times", "system"), [(1, USUAL), (100, "analogy")])
def test_a_difference_that_few_errors_make_decides_nothing(times: int, system: str) -> None:
    """22 against 21 errors and 7 against 6, as on two small stand-ins; a hundred times as many are another matter."""
    counts = {"mixed": (28, 10), "analogy__0_5": (21, 6), f"{USUAL}__0_5": (22, 7), "zero_shot": (44, 13)}
    own = [
        scored(f"d{at}", words=110 * times, **{name: pair[at] * times for name, pair in counts.items()})
        for at in (0, 1)
    ]
    assert decide(own, USUAL, ADAPTED).system == system


def test_nothing_gained_publishes_what_knows_nothing_of_the_target() -> None:
    found = decide(everyone(source_real=(200, 210, 205)), USUAL, ADAPTED)
    assert (found.system, found.gained) == ("source_real", False)
    assert decide(everyone(zero_shot=(100, 90, 95)), USUAL, ADAPTED).system == "zero_shot"


def test_a_published_system_that_is_unadapted_is_compared_with_all_others() -> None:
    found = decide(everyone(zero_shot=(100, 90, 95)), USUAL, ADAPTED)
    assert found.against["mixed"].value < 0


def test_interval_by_hand() -> None:
    values = [-0.3, -0.5, -0.4]
    own = np.var(values, ddof=1)
    spread = math.sqrt((4 * 0.2**2 + 2 * own) / 6)
    half = stats.t.ppf(0.95, 6) * spread * math.sqrt(4 / 3)
    assert predicted(values, 0.2, 4) == pytest.approx((-0.4, -0.4 - half, -0.4 + half))
    assert CONFIDENCE == 0.9


def test_what_is_counted_on_few_errors_counts_less() -> None:
    """By hand: two values, the second with a variance of its own of 0.3."""
    between = math.sqrt((4 * 0.2**2 + max(0.0, 0.5 - 0.15)) / 5)  # the variance of 0 and 1 is 0.5
    weights = [1 / between**2, 1 / (between**2 + 0.3)]
    half = stats.t.ppf(0.95, 5) * math.sqrt(between**2 + 1 / sum(weights))
    mean = weights[1] / sum(weights)
    assert predicted([0.0, 1.0], 0.2, 4, [0.0, 0.3]) == pytest.approx((mean, mean - half, mean + half))


def test_noise_is_of_the_errors_that_were_counted() -> None:
    one = scored("a", mixed=60, analogy__0_5=30)
    assert one.noise(("mixed", None)) == pytest.approx(3 / 60.5)
    assert one.noise(("mixed", None), ("analogy", 0.5)) == pytest.approx(1 / 60.5 + 1 / 30.5)
    few, many = ([scored("a", errors * 10, mixed=errors)] for errors in (10, 1000))
    narrow, wide = expected_wer(many, ("mixed", None)), expected_wer(few, ("mixed", None))
    assert wide.high / wide.low > 2 * narrow.high / narrow.low


def test_one_stand_in_has_the_spread_of_other_corpora() -> None:
    assert moderated([1.0], 0.2, 4) == pytest.approx((0.2, 4))


def test_expected_figures_are_in_percent() -> None:
    own = three(mixed=(400, 400, 400), analogy__0_5=(200, 200, 200))
    assert expected_wer(own, ("analogy", 0.5)).value == pytest.approx(20.05)
    change = expected_change(own, ("analogy", 0.5), ("mixed", None))
    assert change.value == pytest.approx(100 * (200.5 / 400.5 - 1))
    assert change.low < change.value < change.high


@pytest.mark.parametrize("count", [1, 2, 3])
def test_intervals_hold_one_more_domain_as_often_as_they_say(count: int) -> None:
    """Domains whose spread is drawn as the moderated variance assumes: coverage is exact."""
    generator = np.random.default_rng(count)
    degrees, typical, inside, draws = 4.0, 0.2, 0, 4000
    for _ in range(draws):
        spread = typical * math.sqrt(degrees / generator.chisquare(degrees))
        *own, target = generator.normal(-0.5, spread, count + 1)
        _, low, high = predicted(own, typical, degrees)
        inside += low <= target <= high
    assert inside / draws == pytest.approx(CONFIDENCE, abs=4 * math.sqrt(0.09 / draws))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_intervals_hold_it_as_often_where_stand_ins_are_small(count: int) -> None:
    """Each stand-in's value is noisy by a variance of its own, the target's is not."""
    generator = np.random.default_rng(10 + count)
    degrees, typical, inside, draws = 4.0, 0.2, 0, 4000
    for _ in range(draws):
        spread = typical * math.sqrt(degrees / generator.chisquare(degrees))
        *own, target = generator.normal(-0.5, spread, count + 1)
        noise = generator.uniform(0.0, 0.4, count)
        found = [value + generator.normal(0.0, math.sqrt(one)) for value, one in zip(own, noise, strict=True)]
        _, low, high = predicted(found, typical, degrees, list(noise))
        inside += low <= target <= high
    assert inside / draws >= CONFIDENCE - 0.02
