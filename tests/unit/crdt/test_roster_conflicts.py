"""What stands among things that make each other void."""

from hypothesis import given
from hypothesis import strategies as st

from crdt.roster_conflicts import bits, standing

COUNT = 7
sets = st.integers(0, 2**COUNT - 1)


def decided(attackers: dict[int, int], needed: dict[int, int], count: int) -> set[int]:
    """Return what stands if in each ring that with the highest number falls."""
    among = (1 << count) - 1
    return set(
        bits(
            standing(
                among,
                attackers,
                lambda place: needed.get(place, 0),
                lambda ring: max(bits(ring)),
            )
        )
    )


def test_a_ring_is_settled_before_what_hangs_on_it() -> None:
    """Of 0 and 1 the first stands; it makes 2 void, so 3 has no opponent left."""
    assert decided({0: 0b0010, 1: 0b0001, 2: 0b1001, 3: 0b0100}, {}, 4) == {0, 3}


def test_what_needs_the_fallen_falls() -> None:
    """1 falls by 0, and with it 2, which needs it, so that 3 stands."""
    assert decided({1: 0b0001, 3: 0b0100}, {2: 0b0010}, 4) == {0, 3}


def test_one_of_what_is_needed_is_enough() -> None:
    """2 needs 0 or 1, of which 0 has fallen; 3 needs 0 and falls."""
    assert decided({0: 0b10000}, {2: 0b00011, 3: 0b00001}, 5) == {1, 2, 4}


@given(st.lists(sets, min_size=COUNT, max_size=COUNT))
def test_nothing_stands_against_what_stands(attacks: list[int]) -> None:
    """No two that stand make each other void, and all that nobody attacks stand."""
    attackers = {place: attacks[place] & ~(1 << place) for place in range(COUNT)}
    stands = decided(attackers, {}, COUNT)

    assert not any(stands & set(bits(attackers[place])) for place in stands)
    assert {place for place in range(COUNT) if not attackers[place]} <= stands
