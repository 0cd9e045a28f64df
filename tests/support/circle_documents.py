"""Documents about circles as the API answers them, for the command line."""

from typing import Any, Final

ME: Final = "a1" * 32
BOB: Final = "b2" * 32
KEY: Final = "c0ffee" + "0" * 58
CIRCLE_ID: Final = "5eed" * 16


def member(id_: str, alias: str, **changes: Any) -> dict[str, Any]:
    """Return a member."""
    return {
        "id": id_,
        "alias": alias,
        "is_me": False,
        "role": "member",
        "inviter": ME,
        "vouched": False,
        "state": "member",
        "online": True,
        "devices": 1,
        "contributions": 2,
    } | changes


CIRCLE: Final[dict[str, Any]] = {
    "id": CIRCLE_ID,
    "name": "Mill town",
    "state": "active",
    "preset": "strict",
    "mode": "blind",
    "threshold": 0.65,
    "me": ME,
    "alias": "member-a1a1",
    "is_admin": True,
    "counts": {
        "members": 2,
        "contributions": 5,
        "mine": 3,
        "votes": 1,
        "consensus": 1,
    },
    "fingerprint": "f1" * 32,
    "result_hash": None,
    "links": 1,
    "in_step": True,
    "cause": None,
    "fix": None,
    "checks": {"state": "done", "unchecked": 0, "forged": 0, "cause": None},
    "members": [
        member(ME, "member-a1a1", is_me=True, role="founder", inviter=None),
        member(BOB, "bob", vouched=True),
    ],
}
NODE: Final[dict[str, Any]] = {
    "key": KEY,
    "label": "The mill should be a place for all",
    "keywords": ["mill", "place"],
    "status": "emerging",
    "contributor_count": 3,
    "counted_authors": 3,
    "member_count": 4,
    "resonance_score": 0.743,
    "affirm": 2,
    "dissent": 1,
    "vote": "affirm",
    "first_epoch": 2900,
    "last_epoch": 2901,
    "mine": True,
    "linked": ["mill"],
}
PREVIEW: Final[dict[str, Any]] = {
    "circle": CIRCLE_ID,
    "node": "mill",
    "text": "The old mill",
    "record": "9a01c4",
    "size": 512,
    "id": "1d" * 32,
    "model": "00" * 8,
    "epoch": 2900,
    "week_of": "2025-07-31T00:00:00.000Z",
    "already": False,
    "notice": "Every member can read and keep it.",
}
