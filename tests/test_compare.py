"""Verdicts: what they promise, by simulation, and what they are made of, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stepdown.compare import (
    Comparison,
    Pair,
    _shared_spread,
    compare,
    holm,
    holm_levels,
    mean_interval,
    sentence,
    share_interval,
)
from stepdown.evaluate import proportion

TEXTS = 872
SEEDS = 3


def arms(
    rng: np.random.Generator,
    accuracies: tuple[float, ...],
    spread: float | tuple[float, ...],
    seeds: int = SEEDS,
    n: int = TEXTS,
    arm_by_text: float = 0.25,
    noise: float = 0.3,
) -> list[np.ndarray]:
    """Correctness of one run of each arm, bool [seeds, n]: a probit of crossed effects.

    A text is easy or hard for all, or for one arm; a seed is lucky in all arms, or in one; the rest is noise, half of
    it shared by arms of one seed. Total variance is 1, so that an arm's accuracy over all seeds and texts is exact.

    Args:
        accuracies: of each arm.
        spread: standard deviation of accuracy over seeds on endless texts, of all arms or of each.
    """

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    means = stats.norm.ppf(accuracies)
    lucks = np.broadcast_to(spread, means.shape) / stats.norm.pdf(means)
    ease, luck_of_seed, noise_of_seed = normal(1, n), normal(seeds, 1), normal(seeds, n)
    found = []
    for mean, luck in zip(means, lucks, strict=True):
        for_all = np.sqrt(1 - arm_by_text**2 - noise**2 - luck**2) * ease
        of_seed = luck * (luck_of_seed + normal(seeds, 1)) + noise * (noise_of_seed + normal(seeds, n))
        found.append(mean + for_all + arm_by_text * normal(1, n) + np.sqrt(0.5) * of_seed > 0)
    return found


def one(a: np.ndarray, b: np.ndarray, kind: str = "arm") -> Comparison:
    return compare([Pair(kind, "a", "b", a, b)])[0]  # type: ignore[arg-type]


def some(rng: np.random.Generator, seeds: int, n: int, accuracy: float = 0.8) -> np.ndarray:
    return rng.random((seeds, n)) < accuracy


@pytest.mark.parametrize("spread", [0.0, 0.003, 0.006, 0.012, 0.02])
@pytest.mark.parametrize("difference", [0.0, 0.03])
def test_intervals_cover_the_difference_at_3_seeds_and_872_texts(spread: float, difference: float) -> None:
    rng = np.random.default_rng(1)
    runs = 2000
    inside = 0
    for _ in range(runs):
        found = one(*arms(rng, (0.86, 0.86 + difference), spread))
        inside += found.low <= difference <= found.high
    assert 0.93 <= inside / runs <= 0.97


def test_five_seeds_and_few_texts_are_covered_too() -> None:
    rng = np.random.default_rng(2)
    found = [one(*arms(rng, (0.8, 0.82), 0.01, seeds=5, n=300)) for _ in range(2000)]
    assert 0.93 <= np.mean([c.low <= 0.02 <= c.high for c in found]) <= 0.975


def all_pairs(found: list[np.ndarray]) -> list[Pair]:
    return [Pair("arm", str(i), str(j), found[i], found[j]) for j in range(len(found)) for i in range(j)]


@pytest.mark.parametrize("spread", [0.0, 0.006, 0.02])
def test_four_equal_arms_are_covered_and_rarely_get_any_verdict(spread: float) -> None:
    rng = np.random.default_rng(3)
    runs = [compare(all_pairs(arms(rng, (0.86,) * 4, spread))) for _ in range(800)]
    wrong = np.mean([any(c.verdict != "no difference shown" for c in found) for found in runs])
    assert wrong <= 0.05
    assert 0.94 <= np.mean([c.low <= 0 <= c.high for found in runs for c in found]) <= 0.975


def test_an_arm_whose_seeds_spread_four_times_as_far_is_not_far_off() -> None:
    rng = np.random.default_rng(20)
    runs = [compare(all_pairs(arms(rng, (0.86,) * 4, (0.02, 0.005, 0.005, 0.005)))) for _ in range(800)]
    assert np.mean([any(c.verdict != "no difference shown" for c in found) for found in runs]) <= 0.075
    wild, calm = (
        [c for found in runs for c in found if (c.a == "0") == is_wild] for is_wild in (True, False)
    )
    assert np.mean([c.low <= 0 <= c.high for c in wild]) >= 0.89
    assert np.mean([c.low <= 0 <= c.high for c in calm]) >= 0.95


def test_an_arm_whose_seeds_spread_more_keeps_its_own_spread() -> None:
    rng = np.random.default_rng(18)
    wild = arms(rng, (0.8,), 0.04)[0]
    calm = arms(rng, (0.8,) * 3, 0.0)
    found = compare(all_pairs([wild, *calm]))[0]
    alone = one(wild, calm[0])
    spread = (calm[0].mean(1) - wild.mean(1)).std(ddof=1) / np.sqrt(3)
    assert (found.a, found.b) == ("0", "1")
    assert (found.high - found.difference) / stats.t.ppf(0.975, found.df) >= spread
    # Four arms and three seeds: six degrees of freedom for how far seeds spread, not two.
    assert found.df > alone.df


def test_the_shared_spread_is_the_interaction_of_arms_and_seeds() -> None:
    rng = np.random.default_rng(19)
    found = [some(rng, 3, 40, 0.6) for _ in range(3)]
    means = [correct.mean(1) for correct in found]
    squares = [40 * (means[j] - means[i]).var(ddof=1) for j in range(3) for i in range(j)]
    shared = _shared_spread(all_pairs(found))
    assert shared is not None
    assert shared.df == 4
    # Over all pairs, the mean of MS_seed is twice the interaction's mean square.
    assert shared.square == pytest.approx(np.mean(squares))
    assert _shared_spread(all_pairs(found[:2])) is None


def test_one_name_for_two_arms_is_refused() -> None:
    a, b, c = (some(np.random.default_rng(seed), 3, 40) for seed in range(3))
    with pytest.raises(ValueError, match="arm a stands for two"):
        compare([Pair("arm", "a", "b", a, b), Pair("arm", "a", "c", c, a)])


def test_a_large_difference_is_shown_and_in_the_right_direction() -> None:
    rng = np.random.default_rng(4)
    found = [one(*arms(rng, (0.80, 0.86), 0.005)) for _ in range(300)]
    assert np.mean([c.verdict == "better" for c in found]) > 0.9
    assert not any(c.verdict == "worse" for c in found)


def test_mean_interval_covers_an_arms_accuracy() -> None:
    rng = np.random.default_rng(5)
    for spread in (0.0, 0.01):
        found = [share_interval(arms(rng, (0.88,), spread)[0]) for _ in range(2000)]
        assert 0.93 <= np.mean([m.low <= 0.88 <= m.high for m in found]) <= 0.97


def test_mean_squares_are_those_of_a_two_way_analysis_of_variance() -> None:
    rng = np.random.default_rng(6)
    a, b = some(rng, 4, 50, 0.6), some(rng, 4, 50, 0.7)
    b[2] |= some(rng, 1, 50, 0.5)[0]
    d = b.astype(float) - a
    grand = sum(d[s, i] for s in range(4) for i in range(50)) / 200
    by_seed = [sum(d[s]) / 50 for s in range(4)]
    by_text = [sum(d[:, i]) / 4 for i in range(50)]
    ms_seed = 50 * sum((m - grand) ** 2 for m in by_seed) / 3
    ms_text = 4 * sum((m - grand) ** 2 for m in by_text) / 49
    left = [d[s, i] - by_seed[s] - by_text[i] + grand for s in range(4) for i in range(50)]
    ms_rest = sum(r**2 for r in left) / (3 * 49)
    assert ms_seed > ms_rest
    assert ms_text > ms_rest  # else the floors would be at work, and this test about them
    variance = (ms_seed + ms_text - ms_rest) / 200 + 1 / 200**2
    likely = ms_seed * 3 / stats.chi2.median(3)
    df = (likely + ms_text - ms_rest) ** 2 / (likely**2 / 3 + ms_text**2 / 49 + ms_rest**2 / 147)
    found = one(a, b)
    assert found.difference == pytest.approx(grand)
    assert found.df == pytest.approx(df)
    assert found.high - grand == pytest.approx(stats.t.ppf(0.975, df) * np.sqrt(variance))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(grand) / np.sqrt(variance), df))
    assert found.basis == "seeds and texts"


def test_seeds_that_do_not_spread_leave_the_texts_degrees_of_freedom() -> None:
    rng = np.random.default_rng(7)
    a = some(rng, 1, 100)
    b = some(rng, 1, 100)
    found = one(np.repeat(a, 3, 0), np.repeat(b, 3, 0))
    d = b[0].astype(float) - a[0]
    assert found.df == 99
    assert found.high - found.difference == pytest.approx(
        stats.t.ppf(0.975, 99) * np.sqrt(d.var(ddof=1) / 100 + 1 / 300**2)
    )


def test_seeds_can_only_widen_the_interval_of_the_texts() -> None:
    rng = np.random.default_rng(8)
    for _ in range(50):
        a, b = arms(rng, (0.8, 0.8), 0.01, n=200)
        texts = (b.mean(0) - a.mean(0)).std(ddof=1) / np.sqrt(200)
        found = one(a, b)
        assert found.high - found.difference >= stats.t.ppf(0.975, 199) * texts


def test_holm_of_a_published_kind_of_example() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, then non-decreasing.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.4, 0.9])) == pytest.approx([0.8, 0.9])
    assert holm(np.array([0.7, 0.8])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([])).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.data())
def test_a_p_value_is_rejected_exactly_up_to_its_level(p_values: list[float], data: st.DataObject) -> None:
    p = np.array(p_values)
    i = data.draw(st.integers(0, len(p) - 1))
    level = holm_levels(p)[i]
    for mine, rejected in ((level * 0.999, True), (level * 1.001, False)):
        there = p.copy()
        there[i] = mine
        assert (holm(there)[i] <= 0.05) == rejected


def test_levels_of_two_p_values() -> None:
    # Beside 0.01 (rejected at 0.025 whatever the other) there is 0.05 left; beside 0.03 there is 0.025.
    assert holm_levels(np.array([0.03, 0.01])) == pytest.approx([0.05, 0.025])


def test_a_verdict_is_given_exactly_from_the_resolution_on() -> None:
    rng = np.random.default_rng(9)
    verdicts = set()
    for _ in range(60):
        found = arms(rng, (0.80, 0.82, 0.84, 0.86), 0.005, n=400)
        for c in compare(all_pairs(found)):
            assert c.resolution is not None
            assert (abs(c.difference) >= c.resolution) == (c.verdict != "no difference shown")
            assert c.verdict != "better" or c.difference > 0
            verdicts.add(c.verdict)
    assert len(verdicts) >= 2


def test_a_larger_family_needs_a_larger_difference() -> None:
    rng = np.random.default_rng(10)
    a, b = arms(rng, (0.8, 0.8), 0.005)
    alone = one(a, b)
    among = compare([Pair("arm", "a", "b", a, b)] * 6)[0]
    assert (alone.family, among.family) == (1, 6)
    assert alone.resolution is not None
    assert among.resolution is not None
    assert among.resolution > alone.resolution
    assert (among.low, among.high, among.p) == (alone.low, alone.high, alone.p)
    assert among.p_adjusted == pytest.approx(min(6 * alone.p, 1.0))


def test_order_matters_only_to_the_sign() -> None:
    rng = np.random.default_rng(11)
    a, b = arms(rng, (0.7, 0.9), 0.005)
    there, back = one(a, b), one(b, a)
    assert (there.verdict, back.verdict) == ("better", "worse")
    assert back.difference == -there.difference
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_claim_nothing_and_say_why(seeds: int) -> None:
    a, b = np.zeros((seeds, 100), bool), np.ones((seeds, 100), bool)
    b[:, :5] = False
    found = one(a, b)
    assert found.verdict == "no difference shown"
    assert (found.resolution, found.p_adjusted, found.family) == (None, None, 0)
    assert found.basis == "texts only"
    assert 0.85 < found.low < found.difference == 0.95 < found.high <= 1.0
    assert f"{seeds} seed" in sentence(found)
    assert "from the texts alone" in sentence(found)


def test_pairs_without_a_claim_do_not_cost_the_others() -> None:
    rng = np.random.default_rng(12)
    a, b = arms(rng, (0.8, 0.83), 0.0)
    alone = one(a, b)
    beside, mute = compare([Pair("arm", "a", "b", a, b), Pair("rung", "a", "b", a[:2], b[:2])])
    assert beside == alone
    assert mute.family == 0


def test_a_teacher_of_one_seed_stands_beside_every_seed() -> None:
    rng = np.random.default_rng(13)
    teacher, student = some(rng, 1, 200, 0.9), some(rng, 3, 200, 0.8)
    assert one(teacher, student, "rung") == one(np.repeat(teacher, 3, 0), student, "rung")
    assert one(teacher, student, "rung").seeds == 3


def test_two_given_models_may_be_told_apart_without_seeds() -> None:
    n = 872
    a, b = np.ones((1, n), bool), np.ones((1, n), bool)
    a[0, :20] = False
    b[0, 18:24] = False
    found = one(a, b, "model")
    # 18 texts only b gets right, 4 only a: Agresti and Min's (2005) variance with one more text.
    spread = np.sqrt((22 - (14 / n) * 14) / (n * (n - 1)) + 1 / n**2)
    assert found.verdict == "better"
    assert found.difference == pytest.approx(14 / n)
    assert found.high - found.difference == pytest.approx(stats.t.ppf(0.975, n - 1) * spread)


def test_a_handful_of_texts_is_no_verdict() -> None:
    # McNemar's exact p of 4 against 0 is 0.125.
    a, b = np.ones((1, 872), bool), np.ones((1, 872), bool)
    a[0, :4] = False
    assert one(a, b, "model").verdict == "no difference shown"


def test_identical_arms_differ_by_next_to_nothing_but_not_by_exactly_nothing() -> None:
    a = some(np.random.default_rng(14), 3, 872)
    found = one(a, a)
    assert (found.difference, found.p, found.verdict) == (0.0, 1.0, "no difference shown")
    assert 0.001 < found.high == -found.low < 0.004
    assert found.resolution == pytest.approx(found.high)


def test_one_text_says_nothing() -> None:
    found = one(np.zeros((3, 1), bool), np.ones((3, 1), bool))
    assert (found.low, found.high, found.p, found.resolution) == (-1.0, 1.0, 1.0, None)
    assert "single text" in sentence(found)


def test_a_few_texts_can_be_too_few_to_show_any_difference() -> None:
    found = one(np.zeros((3, 2), bool), np.ones((3, 2), bool))
    assert (found.verdict, found.resolution) == ("no difference shown", None)
    assert "2 texts are too few" in sentence(found)


def test_no_pairs_no_comparisons() -> None:
    assert compare([]) == []


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ((3, 10), (3, 11), "same n"),
        ((3, 0), (3, 0), "n ≥ 1"),
        ((2, 10), (3, 10), "same seeds"),
        ((0, 10), (3, 10), "n ≥ 1"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(a: tuple[int, int], b: tuple[int, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        one(np.zeros(a, bool), np.zeros(b, bool))


def test_one_seed_has_wilsons_interval() -> None:
    correct = some(np.random.default_rng(15), 1, 90)
    assert share_interval(correct) == proportion(int(correct.sum()), 90)


def test_more_seeds_narrow_the_mean_of_noise_but_never_below_all_answers_independent() -> None:
    rng = np.random.default_rng(16)
    correct = some(rng, 3, 500, 0.7)
    narrow, independent = share_interval(correct), proportion(int(correct.sum()), 1500)
    one_seed = share_interval(correct[:1])
    assert narrow.high - narrow.low < one_seed.high - one_seed.low
    assert narrow.high - narrow.low >= independent.high - independent.low
    assert narrow.n == 500


def test_equal_seeds_are_worth_one() -> None:
    correct = np.repeat(some(np.random.default_rng(17), 1, 400), 4, 0)
    same, alone = share_interval(correct), share_interval(correct[:1])
    assert (same.low, same.high) == pytest.approx((alone.low, alone.high), abs=5e-4)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 40), (2, 40), (3, 40)])
def test_all_right_and_all_wrong_keep_an_interval(value: int, shape: tuple[int, int]) -> None:
    found = share_interval(np.full(shape, bool(value)))
    assert found == proportion(value * shape[1], shape[1])


def test_a_mean_over_seeds_of_one_text_is_its_share() -> None:
    found = share_interval(np.array([[True], [True], [False]]))
    assert found.value == pytest.approx(2 / 3)
    assert 0 <= found.low < found.value <= found.high <= 1


EXAMPLE = Comparison(
    "arm", "one-hop", "chain", "accuracy", 0.0040, -0.0062, 0.0142, 0.4, 872, 3, 0.01183, "no difference shown",
    0.8, 6, "seeds and texts", 871.0,
)  # fmt: skip


def test_a_verdict_in_plain_words() -> None:
    assert sentence(EXAMPLE) == (
        "chain against one-hop: +0.4 points (−0.6 to +1.4), no difference shown; "
        "this run could have shown 1.2 points or more"
    )
    shown = replace(EXAMPLE, difference=0.021, low=0.009, high=0.033, verdict="better")
    assert sentence(shown) == "chain against one-hop: +2.1 points (+0.9 to +3.3), better"


def test_words_for_an_interval_that_leaves_out_zero_without_a_verdict() -> None:
    words = sentence(replace(EXAMPLE, low=0.001, high=0.0115))
    assert "no difference shown once allowance is made for 6 comparisons; this run" in words


def test_words_blame_the_seeds_where_they_are_the_limit() -> None:
    assert "with only 3 seeds this run could have shown 1.2 points" in sentence(replace(EXAMPLE, df=2.4))


def test_narrow_intervals_are_told_to_the_hundredth_and_zero_has_no_sign() -> None:
    words = sentence(replace(EXAMPLE, difference=-0.00001, low=-0.002, high=0.002, resolution=0.00271))
    assert "0.00 points (−0.20 to +0.20)" in words
    assert "0.28 points or more" in words


def test_correlations_may_differ_by_more_than_1() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.95, 0.4, (1, 200)), rng.normal(-0.9, 0.4, (1, 200))
    found = compare([Pair("model", "a", "b", a, b)], "pearson")[0]
    assert -2.0 < found.low < found.difference < found.high < -1.7
    assert compare([Pair("model", "a", "b", a, a - 3)], "pearson")[0].low == -2.0


def test_the_interval_of_an_f1_ends_at_0() -> None:
    values = np.random.default_rng(0).normal(0.05, 1.0, (3, 30))
    assert mean_interval(values, "micro_f1").low == 0.0
    assert mean_interval(values, "pearson").low < 0.0
