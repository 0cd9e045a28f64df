"""A thought's whole life, from being written down to resonating with others.

The program knows three states of a thought. *Ice*: a node, durable on this device and
on all others of the person. *Water*: alive in the graph, with energy, near to other
thoughts, on paths between them. *Vapor*: published, if the person wishes, to a circle
of people, where it becomes part of what resonates with several of them.

This file leads one thought through all three by the local HTTP API, with nothing but
Python's standard library. It needs the daemons of three persons on this machine, for
nothing resonates with fewer, and the homes of these daemons as its arguments:

    fractality demo --keep        # leaves such daemons running, and names their homes
    python examples/consciousness_flow.py HOME HOME HOME

The first home is yours. Whatever this file makes, it makes in them.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

YOURS = "The old mill would make a fine bakery"
OTHERS = (
    "Let us open a bakery in the old mill",
    "The old mill is the right place for a bakery",
)
PATIENCE_SECONDS = 120


class Device:
    """One daemon, and the API that it serves on this machine."""

    def __init__(self, home: Path) -> None:
        """Find where the daemon of a home listens, and the token that it asks for."""
        self._url = json.loads((home / "run.json").read_text())["url"]
        self._token = (home / "token").read_text().strip()

    def __call__(self, method: str, path: str, content: Any = None) -> Any:
        """Send a request, JSON in and JSON out. A 2xx to a write means: durable."""
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if content is None else json.dumps(content).encode(),
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request) as response:
            answer = response.read()
        return json.loads(answer) if answer else None


def ice(you: Device) -> str:
    """Write the thought down, and two more that it belongs to. Returns its key."""
    you("PUT", "/v1/nodes/mill", {"label": "The old mill", "type": "place"})
    you("PUT", "/v1/nodes/roof", {"label": "Who pays for the new roof?"})
    # A thought is a node. Said this way, its key is made from its words, and what it
    # resonates with is found out while we go on.
    thought = you("POST", "/v1/thoughts", {"text": YOURS, "parent": "mill"})
    key: str = thought["node"]["key"]
    # An edge is a relation with a direction, a type and a weight.
    you("PUT", "/v1/edges", {"from": key, "to": "roof", "type": "answers"})
    node = you("GET", f"/v1/nodes/{key}")
    print(f"ice    {node['label']!r} is safe on {node['sync']['safe_on']} device(s)")
    return key


def water(you: Device, key: str) -> None:
    """Give the thought energy, and see how it lies among the others."""
    # Attention is energy, in ATP; half of it is gone in a week.
    energy = you("POST", f"/v1/nodes/{key}/pulse", {"energy": 2})
    print(f"water  it has {energy['atp']:.1f} ATP now")
    # Each pulse is a point of its stream.
    stream = you("GET", f"/v1/nodes/{key}/stream")
    print(f"water  its stream has {len(stream['points'])} point(s)")
    # Resonance is closeness of meaning; it is known as soon as the model has seen the
    # thought, on this machine and nowhere else.
    wait_for(lambda: you("GET", "/v1/status")["embeddings"]["queued"] == 0)
    near = you("GET", f"/v1/nodes/{key}/resonant?threshold=0")
    for each in near[:2]:
        print(f"water  {each['resonance']:.2f} with {each['node']['label']!r}")
    # Paths prefer what is alive.
    path = you("GET", "/v1/path?from=mill&to=roof")
    print("water  a path:", " → ".join(node["label"] for node in path["nodes"]))


def gather(you: Device, others: list[Device]) -> str:
    """Found a circle and invite the others. Returns its id."""
    circle: str = you("POST", "/v1/circles", {"name": "The old mill"})["id"]
    for other in others:
        # A ticket is for one person; it is given by hand, as a key is.
        ticket = you("POST", f"/v1/circles/{circle}/invites", {})["ticket"]
        other("POST", "/v1/circles/join", {"ticket": ticket})
    return circle


def vapor(you: Device, others: list[Device], circle: str, key: str) -> None:
    """Publish the thought, and see it become part of what resonates."""
    # Nothing leaves unless you say so, for each node. This is exactly what would:
    preview = you("GET", f"/v1/circles/{circle}/preview/{key}")
    print(
        f"vapor  {preview['size']} bytes would leave, with the text {preview['text']!r}"
    )
    print(f"vapor  {preview['notice']}")
    you("PUT", f"/v1/circles/{circle}/contributions/{key}")
    # The others say what they think, and that it is for the circle.
    for other, text in zip(others, OTHERS, strict=True):
        thought = {"text": text, "circle": circle, "publish": "always"}
        other("POST", "/v1/thoughts", thought)
    # Each device works out the same consensus nodes from the same contributions, bit
    # for bit; nobody is asked.
    route = f"/v1/circles/{circle}/consensus"

    def resonant() -> Any:
        found = you("GET", route)["items"]
        return [node for node in found if node["contributor_count"] > len(others)]

    (node,) = wait_for(resonant)
    print(f"vapor  {node['status']}: {node['label']!r}", end=" ")
    print(f"resonates among {node['contributor_count']} persons")
    # Another device sees the same node as soon as it holds the same contributions.
    wait_for(
        lambda: any(
            each["key"] == node["key"] for each in others[0]("GET", route)["items"]
        )
    )
    # Resonance is not agreement. Who agrees says so.
    you("POST", f"{route}/{node['key']}/vote", {"vote": "affirm"})
    others[0]("POST", f"{route}/{node['key']}/vote", {"vote": "dissent"})

    def counted() -> Any:
        seen = you("GET", f"{route}/{node['key']}")
        return seen if (seen["affirm"], seen["dissent"]) == (1, 1) else None

    seen = wait_for(counted)
    for member in seen["members"]:
        print(f"vapor    {member['alias']}: {member['text']}")
    print(f"vapor  {seen['affirm']} affirms, {seen['dissent']} dissents")
    # How it came to be, as this device saw it.
    for point in you("GET", f"{route}/{node['key']}/history")["points"]:
        print(f"vapor  {point['time']}: {point['contributor_count']} persons,", end=" ")
        print(f"resonance {point['resonance_score']:.2f}")
    # What is worth keeping becomes a node of your own graph: vapor falls as ice.
    kept = you("POST", f"{route}/{node['key']}/integrate", {"node": key})
    print(f"ice    kept as {kept['node']['key']!r}, linked with {kept['linked']}")
    # Taking back is possible, but who has read has read; the answer says so.
    taken = you("DELETE", f"/v1/circles/{circle}/contributions/{key}")
    print(f"vapor  {taken['notice']}")


def wait_for(look: Any) -> Any:
    """Return what `look` returns once it is something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (seen := look()):
        if time.monotonic() > deadline:
            sys.exit("It did not come true in time.")
        time.sleep(0.1)
    return seen


def main() -> None:
    """Lead one thought through its life."""
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    you, *others = (Device(Path(home)) for home in sys.argv[1:])
    try:
        key = ice(you)
        water(you, key)
        vapor(you, others, gather(you, others), key)
    except urllib.error.HTTPError as error:
        # Every error says what happened, what is safe and what to do.
        sys.exit(json.loads(error.read())["detail"])


if __name__ == "__main__":
    main()
