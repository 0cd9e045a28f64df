"""Sessions at which a test speaks for the peer."""

from typing import Final, TypeVar

from crdt.ids import DeviceId, SpaceId
from transport.frames import Acknowledge, Condition, Hello
from transport.session_names import SessionName
from transport.sync import SyncSession
from transport.sync_actions import (
    Action,
    End,
    EndCause,
    Holdings,
    Report,
    RosterState,
    Send,
    Standing,
)

ME: Final = DeviceId(b"\x01" * 16)
PEER: Final = DeviceId(b"\x02" * 16)
THIRD: Final = DeviceId(b"\x03" * 16)
SPACE: Final = SpaceId(bytes(16))
DIGEST: Final = bytes(64)
ROSTER: Final = RosterState(bytes(32), (), Standing.MEMBER, Standing.MEMBER)
Kind = TypeVar("Kind")


def hello(vector: dict[DeviceId, int], **changes: object) -> Hello:
    """Return what a peer says that has the same roster."""
    fields = {
        "space": SPACE,
        "run": bytes(8),
        "serial": 1,
        "roster": ROSTER.fingerprint,
        "vector": vector,
        "now_ms": 0,
        "condition": Condition.READY,
        **changes,
    }
    return Hello(**fields)  # type: ignore[arg-type]  # each is of its field's type


def started(here: dict[DeviceId, int] | None = None) -> SyncSession:
    """Return a session that has said hello."""
    session = SyncSession(
        SessionName(SPACE, ME, PEER, bytes(8), 1),
        Holdings(here or {}, DIGEST),
        ROSTER,
        Condition.READY,
        0,
    )
    session.start(0, 0)
    return session


def opened(
    here: dict[DeviceId, int] | None = None, there: dict[DeviceId, int] | None = None
) -> SyncSession:
    """Return a session that was greeted, with these envelopes on both sides."""
    session = started(here)
    session.receive(hello(there or {}), 0)
    session.receive(Acknowledge(0, {}), 0)
    return session


def of_kind(actions: list[Action], kind: type[Kind]) -> list[Kind]:
    """Return the actions, frames and news of one kind."""
    found = [*actions]
    found += [each.frame for each in actions if isinstance(each, Send)]  # type: ignore[misc]  # all are looked at alike
    found += [each.news for each in actions if isinstance(each, Report)]  # type: ignore[misc]  # the same
    return [each for each in found if isinstance(each, kind)]


def ended_by(actions: list[Action]) -> EndCause | None:
    """Return why a session ended, None if it goes on."""
    ends = of_kind(actions, End)
    assert len(ends) <= 1
    assert not ends or actions[-1] is ends[0]
    return ends[0].cause if ends else None
