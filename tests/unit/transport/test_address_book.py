"""The address book: bounded whatever is told, and no amplifier of rumours."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.dialling import address, device
from transport.address_book import (
    KEPT_MS,
    MAX_HEARSAY,
    MAX_OF_ONE,
    MAX_TOLD,
    AddressBook,
    Origin,
)
from transport.addresses import Address

ADA, BEN, EVE = device(1), device(2), device(3)
NOW_MS = 1_764_000_000_000

texts = st.one_of(
    st.builds(
        lambda a, b: f"10.{a}.{b}.1:7411", st.integers(0, 99), st.integers(0, 99)
    ),
    st.sampled_from(["127.0.0.1:1", "[::1]:1", "localhost:1", "a.example:1", "", "x"]),
)


def hear(book: AddressBook, *told: str, is_alone: bool = False) -> bool:
    """Let Eve say where Ada is; return whether that is news."""
    news = book.hear(EVE, [(ADA, each) for each in told], NOW_MS, is_alone=is_alone)
    return bool(news)


def of_ada(book: AddressBook, now_ms: int = NOW_MS) -> list[str]:
    return [str(each) for each in book.of_device(ADA, now_ms)]


@given(st.lists(st.tuples(st.sampled_from([ADA, BEN, EVE]), texts), max_size=60))
def test_whatever_a_peer_tells_is_bounded(told: list[tuple[object, str]]) -> None:
    """A peer places few addresses of others, no names, and nothing of this machine."""
    book = AddressBook()
    book.learn(ADA, [address(5)], NOW_MS)

    book.hear(EVE, told, NOW_MS, is_alone=False)  # type: ignore[arg-type]  # drawn

    assert str(address(5)) in of_ada(book)
    for each, most in ((ADA, MAX_HEARSAY + 1), (BEN, MAX_HEARSAY), (EVE, MAX_OF_ONE)):
        known = book.of_device(each, NOW_MS)
        assert len(known) <= most
        assert all(one.ip is not None and not one.ip.is_loopback for one in known)


def test_what_led_to_a_link_comes_first() -> None:
    """The last success leads, the LAN is before the internet, each address once."""
    book = AddressBook()
    far, near, name = Address("8.8.8.8", 1), address(1), Address("a.example", 1)
    book.learn(ADA, [name, far, near], NOW_MS)
    assert book.of_device(ADA, NOW_MS) == (near, far, name)

    book.learn(ADA, [far], NOW_MS + 1, Origin.LINKED)
    assert book.of_device(ADA, NOW_MS) == (far, near, name)

    book.learn(ADA, [name], NOW_MS + 2, Origin.LINKED)
    book.learn(ADA, [far, near], NOW_MS + 3)
    assert book.of_device(ADA, NOW_MS) == (name, far, near)


def test_hearsay_is_neither_told_nor_stored() -> None:
    """Only what a device knows itself is passed on or kept; no names go out."""
    book = AddressBook()
    hear(book, "10.0.0.66:1")
    book.hear(ADA, [(ADA, "10.0.0.1:7411")], NOW_MS, is_alone=False)
    book.learn(ADA, [Address("a.example", 1)], NOW_MS)

    assert book.told([ADA], NOW_MS) == [(ADA, "10.0.0.1:7411")]
    assert book.stored(NOW_MS) == {
        ADA: [("10.0.0.1:7411", NOW_MS), ("a.example:1", NOW_MS)]
    }
    assert "10.0.0.66:1" in of_ada(book)


def test_few_addresses_are_told() -> None:
    """Of each device the best are told."""
    book = AddressBook()
    book.learn(ADA, [address(number) for number in range(1, 8)], NOW_MS)

    told = book.told([ADA, BEN], NOW_MS)

    assert [text for _, text in told] == of_ada(book)[:MAX_TOLD]


def test_rumours_die() -> None:
    """Two books that tell each other what is no longer so forget it in the end."""
    books = {BEN: AddressBook(), EVE: AddressBook()}
    for book in books.values():
        book.learn(ADA, [address(1)], NOW_MS)
    kept_ms, day_ms = KEPT_MS[Origin.KNOWN], KEPT_MS[Origin.HEARSAY]
    for now_ms in range(NOW_MS, NOW_MS + kept_ms + 2 * day_ms, day_ms // 4):
        for teller, hearer in ((BEN, EVE), (EVE, BEN)):
            told = books[teller].told([ADA], now_ms)
            books[hearer].hear(teller, told, now_ms, is_alone=False)

    assert all(not book.told([ADA], now_ms) for book in books.values())
    assert all(not of_ada(book, now_ms + day_ms) for book in books.values())


def test_addresses_expire_by_how_they_were_learnt() -> None:
    """Hearsay goes first, what led to a link last; learning again keeps it."""
    for origin in Origin:
        book = AddressBook()
        book.learn(ADA, [address(1)], NOW_MS, origin)
        end_ms = NOW_MS + KEPT_MS[origin]
        assert of_ada(book, end_ms - 1)
        book.learn(ADA, [address(1)], end_ms - 1, origin)
        assert of_ada(book, end_ms)
        assert not of_ada(book, end_ms - 1 + KEPT_MS[origin])
    assert sorted(KEPT_MS.values()) == [KEPT_MS[origin] for origin in Origin]


def test_too_many_push_out_the_least() -> None:
    """What led to a link outlasts any number of others."""
    book = AddressBook()
    book.learn(ADA, [address(1)], NOW_MS, Origin.LINKED)
    for number in range(2, 60):
        book.learn(ADA, [address(number)], NOW_MS + number)

    known = book.of_device(ADA, NOW_MS)

    assert len(known) == MAX_OF_ONE
    assert known[0] == address(1)
    assert address(59) in known


def test_this_machine_is_believed_by_who_has_no_network() -> None:
    """Loopback is where others are only if there is nothing else."""
    assert not hear(AddressBook(), "127.0.0.1:7411")
    assert hear(AddressBook(), "127.0.0.1:7411", is_alone=True)


def test_a_book_comes_back_as_it_was_stored() -> None:
    """What is stored is known again; what does not parse is left out."""
    book = AddressBook()
    book.learn(ADA, [address(1), address(2)], NOW_MS)
    stored = {**book.stored(NOW_MS), BEN: [("nonsense", NOW_MS)]}

    again = AddressBook.of(stored)

    assert of_ada(again) == of_ada(book)
    assert again.of_device(BEN, NOW_MS) == ()
    assert not again.is_changed


def test_only_news_worth_keeping_are_written() -> None:
    """Hearsay makes no write, nor does a lesser word on what is known better."""
    book = AddressBook()
    hear(book, "10.0.0.66:1")
    assert not book.is_changed
    book.learn(ADA, [address(1)], NOW_MS, Origin.LINKED)
    assert book.is_changed
    book.is_changed = False

    book.learn(ADA, [address(1)], NOW_MS + 9)

    assert not book.is_changed
