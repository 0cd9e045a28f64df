"""What silence means, minute by minute, without a minute passing."""

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transport.liveness import DROP_MS, GRACE_MS, IDLE_MS, Liveness, Step


class Watch:
    """Runs a liveness by its own deadlines."""

    def __init__(self, answers: Callable[[float], bool]) -> None:
        self.now = 1_000.0
        self.liveness = Liveness(self.now)
        self.pings: list[float] = []
        self.suspected: float | None = None
        self._answers = answers

    def run(self, until: float) -> float | None:
        """Let time pass; return when the peer was dropped."""
        while self.liveness.deadline_ms <= until:
            self.now = max(self.now, self.liveness.deadline_ms)
            match self.liveness.expire(self.now):
                case Step.DROP:
                    return self.now
                case Step.PING:
                    self.pings.append(self.now)
                    if self._answers(self.now):
                        self.liveness.answered(self.liveness.number, self.now + 20)
                case Step.WAIT:
                    pass
            if self.liveness.is_suspect and self.suspected is None:
                self.suspected = self.now
        self.now = until
        return None


def answering(*, until: float, afterwards: bool) -> Callable[[float], bool]:
    """Return a peer that answers until a time, and after it as it is told."""
    return lambda now: now < until or afterwards


def test_an_idle_link_is_asked_every_five_seconds() -> None:
    """A peer that answers is asked at the start, then each 5 s, and never suspected."""
    watch = Watch(lambda now: True)

    assert watch.run(61_000) is None

    gaps = {later - earlier for earlier, later in pairwise(watch.pings)}
    assert gaps == {IDLE_MS + 20}
    assert watch.liveness.rtt_ms == 20
    assert watch.suspected is None


def test_a_silent_peer_is_suspected_then_dropped() -> None:
    """After the last word: two pings missed are a suspicion, 15 s the end."""
    watch = Watch(answering(until=10_000, afterwards=False))

    dropped = watch.run(100_000)

    heard = max(ping for ping in watch.pings if ping < 10_000) + 20
    assert dropped == heard + DROP_MS
    assert watch.suspected == heard + IDLE_MS + 2_000


def test_words_without_reply_shorten_the_patience() -> None:
    """Once something was said, silence is a suspicion after 3 s."""
    watch = Watch(answering(until=2_000, afterwards=False))
    watch.run(3_000)
    watch.now = 3_500

    watch.liveness.sent(3_500)
    watch.liveness.sent(4_000)
    watch.run(7_000)

    assert watch.pings[1:4] == [4_500, 5_500, 6_500]
    assert watch.suspected == 6_500


def test_any_word_ends_a_suspicion() -> None:
    """A suspected peer that is heard is trusted again."""
    watch = Watch(lambda now: False)
    watch.run(10_000)
    assert watch.liveness.is_suspect

    watch.liveness.heard(10_000)

    assert not watch.liveness.is_suspect
    assert watch.liveness.deadline_ms == 10_000 + IDLE_MS


def test_sleep_is_not_the_peers_silence() -> None:
    """After our own sleep a peer has 3 s to be heard, and is kept if it is."""
    for answers, dropped in ((False, 3_600_000 + GRACE_MS), (True, None)):
        watch = Watch(answering(until=9_000, afterwards=answers))
        watch.run(9_000)
        watch.now = 3_600_000

        assert watch.run(3_700_000) == dropped


def test_a_pong_measures_its_own_ping() -> None:
    """Only the pong of the last ping, and only its first, tells the time of a trip."""
    liveness = Liveness(0)
    assert liveness.expire(0) is Step.PING

    liveness.answered(liveness.number + 1, 10)
    assert liveness.rtt_ms is None
    liveness.heard(20)
    liveness.answered(liveness.number, 30)
    liveness.answered(liveness.number, 500)

    assert liveness.rtt_ms == 30


@given(
    events=st.lists(
        st.tuples(st.sampled_from(["sent", "heard", "expire"]), st.integers(0, 20_000)),
        max_size=50,
    )
)
def test_the_deadline_is_never_far(events: list[tuple[str, int]]) -> None:
    """Whatever happens, the next look at the clock is within 5 s of the last event."""
    now, liveness = 0, Liveness(0)

    for event, passed in events:
        now += passed
        if event == "sent":
            liveness.sent(now)
        elif event == "heard":
            liveness.heard(now)
        elif liveness.expire(now) is Step.DROP:
            return
        assert liveness.deadline_ms <= now + IDLE_MS
