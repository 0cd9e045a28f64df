"""What the command line does without the API: homes, the daemon itself, systemd.

Rule: a module is imported by the method that needs it, for these are the heavy ones
(aiohttp, apsw, pycrdt) and no other command waits for them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

AskPassphrase: TypeAlias = Callable[[], str]
KeySource: TypeAlias = Literal["passphrase", "keyring", "key-file"]
Scope: TypeAlias = Literal["user", "system"]
Verb: TypeAlias = Literal["install", "remove", "status"]


class NewDevice(Protocol):
    """A device that has just been made."""

    @property
    def words(self) -> str:
        """The 24 words of its person, separated by blanks."""

    @property
    def person(self) -> str:
        """Id of the person."""

    @property
    def device(self) -> str:
        """Id of the device."""

    @property
    def key_source(self) -> str:
        """Where the key of its store is kept."""


class JoinedDevice(Protocol):
    """A device that has just joined."""

    @property
    def person(self) -> str:
        """Id of the person."""

    @property
    def person_name(self) -> str:
        """Name of the person."""

    @property
    def device(self) -> str:
        """Id of the device."""

    @property
    def device_name(self) -> str:
        """Name of the device."""

    @property
    def inviter(self) -> str:
        """Id of the device that let it in."""

    @property
    def inviter_name(self) -> str:
        """Name of that one."""

    @property
    def key_source(self) -> str:
        """Where the key of its store is kept."""


class Finding(Protocol):
    """One thing that `doctor` looked at."""

    @property
    def ok(self) -> bool:
        """Whether it is as it should be."""

    @property
    def title(self) -> str:
        """What was looked at."""

    @property
    def detail(self) -> str:
        """What was found."""

    @property
    def fix(self) -> str | None:
        """What to do, if something is to be done."""


class Local(Protocol):
    """The deeds of this machine. All raise the errors of `crdt.errors`."""

    def initialise(
        self,
        home: Path,
        name: str | None,
        key_source: KeySource | None,
        ask_passphrase: AskPassphrase,
    ) -> NewDevice:
        """Make a person and their first device in a new home."""

    def restore(
        self,
        home: Path,
        file: Path,
        words: str,
        *,
        name: str | None,
        key_source: KeySource | None,
        ask_passphrase: AskPassphrase,
    ) -> NewDevice:
        """Make a new device of the person of a backup, with all it held."""

    def join(
        self,
        home: Path,
        code: str,
        endpoint: str | None,
        *,
        name: str | None,
        key_source: KeySource | None,
        ask_passphrase: AskPassphrase,
    ) -> JoinedDevice:
        """Make the device of a home that no daemon serves one of an inviter's person.

        `code` is as it was typed, `endpoint` HOST:PORT if the inviter is not to be
        looked for.
        """

    def run(self, home: Path, flags: Mapping[str, object]) -> int:
        """Serve `home` until told to stop; return the exit status."""

    def examine(self, home: Path) -> Sequence[Finding]:
        """Look for what is wrong with `home` and its surroundings."""

    def service(self, verb: Verb, scope: Scope, home: Path) -> str:
        """Carry out `verb` on the systemd unit; return what was done or found."""


class Installed:
    """The deeds of the installed program."""

    def initialise(
        self,
        home: Path,
        name: str | None,
        key_source: KeySource | None,
        ask_passphrase: AskPassphrase,
    ) -> NewDevice:
        """See `Local`."""
        from daemon import setup

        return setup.initialise(home, name, key_source, ask_passphrase)

    def restore(
        self,
        home: Path,
        file: Path,
        words: str,
        *,
        name: str | None,
        key_source: KeySource | None,
        ask_passphrase: AskPassphrase,
    ) -> NewDevice:
        """See `Local`."""
        from daemon import setup

        return setup.restore(
            home,
            file,
            words,
            name=name,
            key_source=key_source,
            ask_passphrase=ask_passphrase,
        )

    def join(
        self,
        home: Path,
        code: str,
        endpoint: str | None,
        *,
        name: str | None,
        key_source: KeySource | None,
        ask_passphrase: AskPassphrase,
    ) -> JoinedDevice:
        """See `Local`."""
        from daemon.joining_home import join_home
        from daemon.nearby import nearby_ways
        from transport.addresses import parse_address
        from transport.pairing_code import parse_link

        return join_home(
            home,
            parse_link(code),
            None if endpoint is None else parse_address(endpoint, "--at"),
            name=name,
            key_source=key_source,
            ask_passphrase=ask_passphrase,
            ways=nearby_ways(),
        )

    def run(self, home: Path, flags: Mapping[str, object]) -> int:
        """See `Local`."""
        from daemon.memory import uncollected

        with uncollected():  # a fifth of the start would be collecting modules
            from daemon import app

        return app.run(home, flags)

    def examine(self, home: Path) -> Sequence[Finding]:
        """See `Local`."""
        from daemon import doctor

        return doctor.examine(home)

    def service(self, verb: Verb, scope: Scope, home: Path) -> str:
        """See `Local`."""
        from daemon import service
        from daemon.cli.session import default_home

        if scope == "system" and home == default_home():
            home = service.SYSTEM_HOME
        deed: Callable[[Scope, Path], str] = getattr(service, verb)
        return deed(scope, home)
