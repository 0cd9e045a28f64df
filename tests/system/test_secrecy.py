"""Nothing that a person wrote, and no secret, is ever readable outside the store."""

import base64
import json
import socket
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from crdt.database import Database
from crdt.key_sources import find_store_key
from crdt.phrase import parse_phrase
from daemon.setup import load_secrets
from tests.support.daemons import Api, Daemon, environment, make_home, node_path
from tests.support.secrecy import Lookout, forms

WRITTEN: Final = {
    "key": "geheimer Schlüssel/日本 Nr. 1",
    "other key": "another-quite-private-key",
    "label": "Überschrift, die niemand sehen darf",
    "metadata name": "private name of metadata",
    "metadata value": "private 'value' of \"metadata\"",
    "body": "A long text that is nobody's business, ümläuts and all.",
    "edge type": "secretly-in-love-with",
    "edge metadata": "the reason for this edge",
    "type": "private-kind-of-node",
    "network": "private-network-name",
    "imported": "A thought that came with an imported file",
    "imported body": "The body of an imported note, not for the disk",
    "failed": "The label of a line that was refused \ud83d\ude00".encode(
        "utf-16", "surrogatepass"
    ).decode("utf-16"),
    "failed key": "the-key-of-a-request-that-failed",
    "query": "words somebody searched for",
    "deleted": "A thought that was put into the trash",
}


@pytest.mark.parametrize("shift", range(3))
def test_the_lookout_sees(shift: int) -> None:
    """What is looked for is found in clear and in every form, wherever it begins."""
    secret = "etwas Gehéimes, das hier steht"
    around = b"x" * shift + secret.encode() + b"tail"
    lookout = Lookout()
    lookout.guard("it", secret)

    for number, content in enumerate(
        (
            around,
            around.hex().encode(),
            base64.b64encode(around),
            base64.urlsafe_b64encode(around),
            secret.encode("utf-16-le"),
            json.dumps({"a": secret}).encode(),
        )
    ):
        lookout.search(str(number), content)

    assert {place for _, place in lookout.found} == set("012345")
    assert not any(form in b"something else entirely" * 9 for form in forms(secret))


def test_nothing_is_readable_outside_the_store(tmp_path: Path) -> None:
    """After a lively life no file, log or process shows any of it.

    The home and the folder of temporary files are searched all the while: in clear,
    as UTF-16, base64, hexadecimal, percent-encoded and JSON-escaped.
    """
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    scratch.mkdir()
    made = make_home(home)
    daemon = Daemon(
        home,
        variables=environment(TMPDIR=str(scratch), SQLITE_TMPDIR=str(scratch)),
    )
    lookout = guarded(home, made.words)
    daemon.start()
    token = daemon.api.token
    for phase in (live, bulk, misbehave):
        with lookout.watching((home, scratch), daemon.pid):
            phase(daemon.api)
    daemon.kill()
    daemon.start()
    with lookout.watching((home, scratch), daemon.pid):
        daemon.api.put_node(WRITTEN["key"], WRITTEN["label"] + " again")
        assert daemon.stop() == 0

    lookout.guard("token", token)
    lookout.search_files(home.iterdir())
    lookout.search("log", daemon.log.encode())
    allowed = {("token", str(home / "token")), ("store key", str(home / "store.key"))}
    assert lookout.found == allowed
    names = {Path(place).name for place in lookout.searched}
    assert {"store.db", "store.db-wal", "store.db-shm", "cmdline", "environ"} <= names
    assert "backup.unfinished" in names


def guarded(home: Path, words: str) -> Lookout:
    """Look for all that was written and for every secret of a home."""
    lookout = Lookout()
    for name, text in WRITTEN.items():
        lookout.guard(name, text)
    lookout.guard("24 words", words)
    lookout.guard("entropy", parse_phrase(words))
    key = find_store_key(home, {}, None).key
    lookout.guard("store key", key)
    with Database(home, key) as database:
        held = load_secrets(database.writer)
    for secrets in (held.identity, held.keys):
        for name in secrets.__struct_fields__:
            value = getattr(secrets, name)
            if isinstance(value, bytes) and len(value) >= 32:
                lookout.guard(name, value)
    for epoch in held.keys.epochs:
        lookout.guard("epoch key", epoch.secret)
    return lookout


def live(api: Api) -> None:
    """Do all that a person does with nodes."""
    key, other = WRITTEN["key"], WRITTEN["other key"]
    metadata = {WRITTEN["metadata name"]: [WRITTEN["metadata value"]]}
    kind = {"type": WRITTEN["type"], "network": WRITTEN["network"]}
    api.put_node(key, WRITTEN["label"], metadata=metadata, **kind)
    api.put_node(other)
    api.put_node("deleted", WRITTEN["deleted"])
    api.request("DELETE", node_path("deleted"))
    text = WRITTEN["body"].encode()
    assert api.request("PUT", node_path(key, "/body"), content=text * 50).status == 204
    edge = {"type": WRITTEN["edge type"], "metadata": {"m": WRITTEN["edge metadata"]}}
    assert api.put_edge(key, other, **edge).status == 201
    api.request("POST", node_path(key, "/pulse"), {"energy": 1})
    api.request("PATCH", node_path(key), {"label": WRITTEN["label"] + " 2"})
    assert api.get("/v1/search", q=WRITTEN["query"]) == []
    assert len(api.get("/v1/search", q=WRITTEN["label"])) > 0
    api.get(node_path(key, "/neighbours"))
    api.get("/v1/path", **{"from": key, "to": other})


def bulk(api: Api) -> None:
    """Import, export and back up enough to make the daemon use its files."""
    lines: list[dict[str, Any]] = [
        {
            "key": f"{WRITTEN['imported']} {number}",
            "label": f"{WRITTEN['imported']} {number}",
            "body": f"{WRITTEN['imported body']} {number}" * 20,
        }
        for number in range(3_000)
    ]
    lines += [
        {"from": lines[number]["key"], "to": lines[0]["key"]} for number in range(3_000)
    ]
    content = b"\n".join(json.dumps(line).encode() for line in lines)
    answer = api.request("POST", "/v1/import", content=content)
    assert answer.lines[-1]["failed"] == 0
    for name in ("jsonl", "graphml", "markdown"):
        assert WRITTEN["imported"].encode() in api.export(name)
    backup = api.request("GET", "/v1/backup")
    assert backup.status == 200
    for text in WRITTEN.values():
        assert not any(form in backup.content for form in forms(text))


def misbehave(api: Api) -> None:
    """Send what is refused, is no HTTP, or breaks off in the middle."""
    failed, key = WRITTEN["failed"], WRITTEN["failed key"]
    api.put_node(key, failed * 500)
    api.request("GET", node_path(key))
    api.request("PUT", node_path(key), {"label": failed, failed: 1})
    api.request("PUT", node_path(key), content=failed.encode() + b"{")
    api.batch([{"op": failed, "key": key}, {"op": "delete_node", "key": key}])
    api.request("POST", "/v1/import", content=failed.encode())
    api.request("GET", "/v1/nodes", query={"cursor": failed, key: failed})
    api.request("GET", "/v1/status", headers={"Origin": f"http://[{key}"})
    begin = f"PUT /v1/nodes/{quote(key)}/body HTTP/1.1\r\nHost: localhost\r\n"
    begin += f"Authorization: Bearer {api.token}\r\nContent-Length: 999\r\n\r\n"
    for head in (
        begin + failed,
        f"GET /v1/nodes/{key * 4000} HTTP/1.1\r\n\r\n",
        f"{key} {failed}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{key}\x01: {failed}\r\n\r\n",
    ):
        address = ("127.0.0.1", api.port)
        with suppress(OSError), closing(socket.create_connection(address)) as sock:
            sock.sendall(head.encode())
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
