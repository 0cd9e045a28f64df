"""Why a pairing came to nothing, in words for whoever sits at either device."""

from typing import Final

from crdt.errors import ConflictError
from transport.invitation import MAX_TRIES, Invitation, State
from transport.pairing_messages import Cause


class PairingError(ConflictError):
    """A device did not join; it kept nothing."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"{_TO_JOINER[cause]} Nothing was kept on this device.")
        self.cause = cause
        """Why."""


_NEW_CODE: Final = "run 'fractality pair' on the other device again and type its code."
_TO_JOINER: Final = {
    Cause.WRONG_CODE: (
        "The code is not the one that the other device shows: look for a slip of the"
        " pen and try again. If it was typed right, somebody stands between the two"
        " devices, and learnt nothing."
    ),
    Cause.SPENT: (
        f"The code was tried {MAX_TRIES} times and is worth nothing any more:"
        f" {_NEW_CODE}"
    ),
    Cause.EXPIRED: f"The code is older than ten minutes: {_NEW_CODE}",
    Cause.CANCELLED: f"The invitation was taken back on the other device: {_NEW_CODE}",
    Cause.TAKEN: f"Another device has joined by this code: {_NEW_CODE}",
    Cause.CLASH: f"The other device could not add this one to its devices: {_NEW_CODE}",
    Cause.FAILED: (
        "The other device could not store that this one joins; its log says why. Then"
        f" {_NEW_CODE}"
    ),
    Cause.VERSION: (
        "The other device runs another version of Fractality: bring both to the newest."
    ),
}
_WHILE_OPEN: Final = {
    Cause.WRONG_CODE: "A device came with another code.",
    Cause.CLASH: "A device came that could not be added.",
    Cause.FAILED: "A device came, and could not be stored; the log says why.",
    Cause.VERSION: "A device came that runs another version of Fractality.",
}
_AT_THE_END: Final = {
    Cause.SPENT: (
        f"The code was tried {MAX_TRIES} times and is worth nothing any more."
        " Open another; if nobody slipped, somebody on your network guesses."
    ),
    Cause.EXPIRED: "Ten minutes are over and the code is worth nothing any more.",
    Cause.CANCELLED: "The invitation was taken back.",
    Cause.FAILED: (
        "The device was added but did not take its keys, so it was removed again:"
        " it holds nothing. Open another invitation."
    ),
}


def told_to_inviter(invitation: Invitation) -> str:
    """Return how an invitation stands, as a sentence."""
    cause = invitation.cause
    match invitation.state:
        case State.OPEN:
            happened = "" if cause is None else f"{_WHILE_OPEN.get(cause, '')} "
            left = invitation.tries_left
            return f"{happened}Waiting for a device; tries left: {left}.".strip()
        case State.ADDED:
            return "A device was added and is taking its keys."
        case State.JOINED:
            return "The device has joined."
        case State.ENDED:
            return _AT_THE_END.get(cause or Cause.CANCELLED, "The invitation is over.")
