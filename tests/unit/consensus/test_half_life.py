"""The weights by age, checked by integers alone."""

from consensus.half_life import HALF


def test_the_table_is_the_formula() -> None:
    """HALF[k] is the whole number nearest to 2 ** 30 * 2 ** (-k / 13).

    n is nearest to x if 2n - 1 < 2x < 2n + 1; both sides to the power of 13 are whole
    numbers, so that nothing is rounded on the way.
    """
    for age, weight in enumerate(HALF):
        exact = 2 ** (31 * 13 - age)
        assert (2 * weight - 1) ** 13 < exact < (2 * weight + 1) ** 13

    assert len(HALF) == 208
    assert HALF[0] == 2 * HALF[13] == 2**30
