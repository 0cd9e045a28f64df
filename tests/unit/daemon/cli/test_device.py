"""Commands that work without the API: the deeds themselves are a fake here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crdt.errors import ConflictError, FractalityError, StoreInUseError, WrongKeyError
from daemon.cli.local import (
    AskPassphrase,
    Finding,
    JoinedDevice,
    KeySource,
    NewDevice,
    Scope,
    Verb,
)
from tests.support.command_line import CommandLine

WORDS = " ".join(f"tone{n}" for n in range(1, 25))


@dataclass(frozen=True)
class Made:
    """A new device."""

    words: str = WORDS
    person: str = "p" * 26
    device: str = "d" * 26
    key_source: str = "key-file"


@dataclass(frozen=True)
class MadeByJoining:
    """A device that has joined."""

    person: str = "p" * 26
    person_name: str = "ada"
    device: str = "d" * 26
    device_name: str = "phone"
    inviter: str = "i" * 26
    inviter_name: str = "laptop"
    key_source: str = "key-file"


@dataclass(frozen=True)
class Found:
    """A finding."""

    ok: bool
    title: str
    detail: str
    fix: str | None = None


@dataclass
class FakeLocal:
    """Writes down what was asked for; raises `failure` instead if there is one."""

    failure: FractalityError | None = None
    findings: Sequence[Found] = ()
    calls: list[tuple[object, ...]] = field(default_factory=list)

    def _called(self, *call: object) -> None:
        if self.failure:
            raise self.failure
        self.calls.append(call)

    def initialise(
        self,
        home: Path,
        name: str | None,
        key_source: KeySource | None,
        ask_passphrase: AskPassphrase,
    ) -> NewDevice:
        """Make a device, asking as the real one would."""
        passphrase = ask_passphrase() if key_source == "passphrase" else None
        self._called("initialise", home, name, key_source, passphrase)
        return Made()

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
        """Make a device, asking as the real one would."""
        passphrase = ask_passphrase() if key_source == "passphrase" else None
        self._called("restore", home, file, words, name, key_source, passphrase)
        return Made()

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
        """Join, asking as the real one would."""
        passphrase = ask_passphrase() if key_source == "passphrase" else None
        self._called("join", home, code, endpoint, name, key_source, passphrase)
        return MadeByJoining()

    def run(self, home: Path, flags: Mapping[str, object]) -> int:
        """Run for no time."""
        self._called("run", home, dict(flags))
        return 0

    def examine(self, home: Path) -> Sequence[Finding]:
        """Find what is to be found."""
        self._called("examine", home)
        return self.findings

    def service(self, verb: Verb, scope: Scope, home: Path) -> str:
        """Tell what was done."""
        self._called("service", verb, scope, home)
        return f"{verb} done\nand enabled"


@pytest.fixture
def local() -> FakeLocal:
    """The deeds, faked."""
    return FakeLocal()


@pytest.fixture
def command_line(tmp_path: Path, local: FakeLocal) -> CommandLine:
    """The command line on an empty home with faked deeds."""
    return CommandLine(tmp_path, local)


def test_init_shows_the_words_in_their_order(
    command_line: CommandLine, local: FakeLocal
) -> None:
    """All 24 words are shown, numbered, with how to go on; --yes asks nothing."""
    result = command_line.run("init", "--name", "laptop", "--yes")

    shown = [line for line in result.stdout.splitlines() if "tone" in line]
    assert " ".join(shown).split() == [
        part for n in range(1, 25) for part in (str(n), f"tone{n}")
    ]
    assert f"Start it with: fractality --home {command_line.home} run" in result.stdout
    assert local.calls == [("initialise", command_line.home, "laptop", None, None)]


def test_init_asks_until_the_words_are_noted(command_line: CommandLine) -> None:
    """A no shows the words again; a yes ends it."""
    result = command_line.run("init", input="n\ny\n")

    assert result.exit_code == 0
    assert result.stdout.count("tone24") == 2


def test_init_without_an_answer_fails_after_showing_all(
    command_line: CommandLine,
) -> None:
    """If the input ends, the words have been shown and status 1 tells the rest."""
    result = command_line.run("init", input="")

    assert result.exit_code == 1
    assert "tone24" in result.stdout
    assert "no answer was given" in result.stderr


def test_init_as_json_holds_the_words(command_line: CommandLine) -> None:
    """With --json nothing is asked and the words are in the answer."""
    assert command_line.json("init")["words"] == WORDS


@pytest.mark.parametrize("source", ["keyring", "key-file"])
def test_the_key_source_is_passed_on(
    command_line: CommandLine, local: FakeLocal, source: str
) -> None:
    """--keyring and --key-file choose where the key is kept."""
    command_line.run("init", "--yes", f"--{source}")

    assert local.calls == [("initialise", command_line.home, None, source, None)]


def test_a_passphrase_is_asked_twice_and_never_shown(
    command_line: CommandLine, local: FakeLocal
) -> None:
    """The two must agree before anything is made."""
    result = command_line.run(
        "init", "--yes", "--passphrase", input="one\ntwo\nsesame\nsesame\n"
    )

    assert local.calls == [
        ("initialise", command_line.home, None, "passphrase", "sesame")
    ]
    assert "sesame" not in result.output


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (ConflictError("This home has a person already."), 4),
        (StoreInUseError("Another process holds this home."), 4),
        (WrongKeyError("The key does not open the store."), 4),
        (FractalityError("Something else."), 1),
    ],
)
@pytest.mark.parametrize("command", ["init", "run", "doctor"])
def test_a_refusal_is_one_sentence(
    command_line: CommandLine,
    local: FakeLocal,
    command: str,
    failure: FractalityError,
    status: int,
) -> None:
    """What the deeds raise on purpose is printed as it reads, with its status."""
    local.failure = failure

    result = command_line.run(command)

    assert result.exit_code == status
    assert (result.stdout, result.stderr) == ("", f"Error: {failure}\n")


def test_run_passes_on_what_was_given(
    command_line: CommandLine, local: FakeLocal, tmp_path: Path
) -> None:
    """A flag that was not given leaves the setting to file and environment."""
    file = tmp_path / "settings.toml"
    file.touch()

    command_line.run("run")
    command_line.run(
        "run", "--port", "0", "--peer-port", "7000", "--no-discovery",
        "--relay", "https://relay.example", "--config", str(file),
    )  # fmt: skip

    assert local.calls == [
        ("run", command_line.home, {}),
        (
            "run",
            command_line.home,
            {
                "port": 0,
                "peer_port": 7000,
                "discovery": False,
                "relay": "https://relay.example",
                "config": file,
            },
        ),
    ]


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_is_none_is_wrong_usage(
    command_line: CommandLine, local: FakeLocal, port: str
) -> None:
    """The daemon is not started with it."""
    assert command_line.run("run", "--port", port).exit_code == 2
    assert local.calls == []


@pytest.mark.parametrize("separator", [" ", "\n", "  \n\n\t"])
def test_restore_reads_the_words_however_they_are_set(
    command_line: CommandLine, local: FakeLocal, tmp_path: Path, separator: str
) -> None:
    """Words come from the input, on one line or on several, in any case."""
    file = tmp_path / "graph.backup"
    file.touch()

    result = command_line.run(
        "restore", str(file), input=WORDS.upper().replace(" ", separator) + "\n"
    )

    assert result.exit_code == 0
    assert local.calls == [
        ("restore", command_line.home, file, WORDS, None, None, None)
    ]
    assert "tone" not in result.output


def test_restore_leaves_the_passphrase_on_its_own_line(
    command_line: CommandLine, local: FakeLocal, tmp_path: Path
) -> None:
    """What follows the words answers the next question."""
    file = tmp_path / "graph.backup"
    file.touch()

    command_line.run(
        "restore", str(file), "--passphrase", input=f"{WORDS}\nopen\nopen\n"
    )

    assert [call[-1] for call in local.calls] == ["open"]


@pytest.mark.parametrize("words", ["", "too few words\n", f"{WORDS} extra\n"])
def test_restore_counts_the_words(
    command_line: CommandLine, local: FakeLocal, tmp_path: Path, words: str
) -> None:
    """Anything but 24 words is wrong usage, and the words are not repeated."""
    file = tmp_path / "graph.backup"
    file.touch()

    result = command_line.run("restore", str(file), input=words)

    assert (result.exit_code, local.calls) == (2, [])
    assert result.stderr.startswith("Error: words: there are 24 of them, not ")


def test_doctor_tells_what_to_do(command_line: CommandLine, local: FakeLocal) -> None:
    """Each finding is a line, its remedy below it; status 1 if one is bad."""
    local.findings = (
        Found(ok=True, title="Store", detail="opens"),
        Found(ok=False, title="Disk", detail="full", fix="Make room."),
    )

    result = command_line.run("doctor")

    assert result.exit_code == 1
    assert result.stdout == "✓ Store: opens\n✗ Disk: full\n    Make room.\n"
    assert command_line.json("doctor")[0] == {
        "ok": True,
        "title": "Store",
        "detail": "opens",
        "fix": None,
    }


def test_doctor_ends_well_when_all_is_well(
    command_line: CommandLine, local: FakeLocal
) -> None:
    """Status 0 means that nothing is to be done."""
    local.findings = (Found(ok=True, title="Store", detail="opens"),)

    assert command_line.run("doctor").exit_code == 0


def test_service_is_the_users_unless_told_otherwise(
    command_line: CommandLine, local: FakeLocal
) -> None:
    """--system means the machine's units."""
    assert (
        command_line.run("service", "install").stdout == "install done\nand enabled\n"
    )
    command_line.run("service", "remove", "--system")

    assert local.calls == [
        ("service", "install", "user", command_line.home),
        ("service", "remove", "system", command_line.home),
    ]


def test_join_makes_a_new_home_where_no_daemon_runs(
    command_line: CommandLine, local: FakeLocal
) -> None:
    """What was typed is passed on; the answer says whose device it is, and what now."""
    result = command_line.run("join", "7-orbit-ladder", "--name", "phone", "--key-file")

    assert result.exit_code == 0
    assert "a device of ada now, let in by laptop" in result.stdout
    assert "fractality --home" in result.stdout
    home = command_line.home
    assert local.calls == [
        ("join", home, "7-orbit-ladder", None, "phone", "key-file", None)
    ]


def test_join_answers_as_the_api_does(command_line: CommandLine) -> None:
    """With --json: the person, the inviter and the new device, by id and name."""
    answer = command_line.json("join", "7-orbit-ladder")

    assert answer["person"] == {"id": "p" * 26, "name": "ada"}
    assert answer["device"] == {"id": "i" * 26, "name": "laptop"}
    assert answer["joined_as"] == {"id": "d" * 26, "name": "phone"}
