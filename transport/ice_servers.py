"""Which servers may help two devices to reach each other: none, unless told.

A STUN server tells a device its address outside its network; a TURN server carries
what two devices cannot send directly, which stays encrypted between them.
"""

import base64
import hmac
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

CREDENTIAL_SECONDS: Final = 24 * 3600
DEFAULT_PORT: Final = 3478

_Host: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
_Port: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class StunServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A STUN server."""

    host: _Host
    port: _Port = DEFAULT_PORT


class TurnServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A TURN server, with a password or with the secret that passwords are made of."""

    host: _Host
    port: _Port = DEFAULT_PORT
    transports: Annotated[
        tuple[Literal["udp", "tcp", "tls"], ...],
        msgspec.Meta(min_length=1, max_length=3),
    ] = ("udp", "tcp")
    """Ways to the server, tried in this order."""
    username: str = ""
    password: str = ""
    shared_secret: str = ""
    """As of coturn's `use-auth-secret`; username and password are then made here."""

    def __repr__(self) -> str:
        return f"<TurnServer {self.host}:{self.port}>"

    def credentials(self, now_seconds: int) -> tuple[str, str]:
        """Return (username, password), valid for a day if made of the secret."""
        if not self.shared_secret:
            return self.username, self.password
        username = f"{now_seconds + CREDENTIAL_SECONDS}:{self.username or 'device'}"
        secret = self.shared_secret.encode()
        digest = hmac.digest(secret, username.encode(), "sha1")
        return username, base64.b64encode(digest).decode()


class IceServers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The servers of a device; by default nobody else is contacted."""

    stun: StunServer | None = None
    turn: TurnServer | None = None
    is_relay_only: bool = False
    """Whether links go through the TURN server only; signalling shows addresses."""
