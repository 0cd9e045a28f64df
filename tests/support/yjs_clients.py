"""Yjs clients that edit a body, as the updates that they would send."""

from dataclasses import dataclass, field
from typing import Any

from pycrdt import Doc, Text

from crdt.yjs_profile import BODY_TEXT


@dataclass
class YjsClient:
    """A document like that of an editor in a browser."""

    client_id: int
    document: "Doc[Any]" = field(init=False)

    def __post_init__(self) -> None:
        """Begin with an empty document."""
        self.document = Doc(client_id=self.client_id)

    @property
    def _text(self) -> Text:
        text: Text = self.document.get(BODY_TEXT, type=Text)
        return text

    @property
    def text(self) -> str:
        """What the editor shows."""
        return str(self._text)

    @property
    def state(self) -> bytes:
        """State vector of the document."""
        return self.document.get_state()

    @property
    def whole(self) -> bytes:
        """All that the document holds: what a client sends that connects again."""
        return self.document.get_update()

    def insert(self, place: int, word: str) -> bytes:
        """Put a word before the character at `place`; return the update."""
        before = self.state
        at = len(self.text[:place].encode())
        self._text.insert(at, word)
        return self.document.get_update(before)

    def delete(self, first: int, count: int) -> bytes:
        """Take characters away; return the update, with every deletion ever made."""
        before = self.state
        start = len(self.text[:first].encode())
        end = len(self.text[: first + count].encode())
        del self._text[start:end]
        return self.document.get_update(before)

    def hear(self, update: bytes) -> None:
        """Merge what somebody else did."""
        self.document.apply_update(update)
