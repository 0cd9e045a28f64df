"""How good and how steady consensus is: `python -m bench.resonance [FOLDER]`.

Takes the folder `data` of the shared material (default `../shared/data`), says what of
it is absent, and measures with the real model, one author to a text in the labelled
sets and the authors as they are in the statements:

- F, the harmonic mean of how many nodes are precise (at least 3 members of one class,
  which are at least two thirds) and how many classes of at least 3 texts have such a
  node; and B-cubed F, where texts in no node and out of scope stand alone;
- the same of a running average that takes texts in order, the usual way;
- how many keys of 99 % of the records are lost when the last one arrives;
- that fresh processes get one hash, whatever the order, with retractions in between,
  in batches and singly.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from bench.report import machine
from consensus.contribution import (
    Contribution,
    contribute,
    decode_contribution,
    retract,
)
from consensus.invitations import InviteTree
from consensus.model_folder import find_model
from consensus.resonance import Resonance
from consensus.rule import Preset
from crdt.closeness import quantise

Floats: TypeAlias = npt.NDArray[np.float32]
CIRCLE: Final = sha256(b"bench").digest()
MODEL: Final = b"measured"
FOUNDERS: Final = InviteTree({})
OUT_OF_SCOPE: Final = "oos"
ORDERS: Final = 20
_WEEK_MS: Final = 604_800_000
_SETS: Final = ("banking77_test", "clinc150_val", "polis_comments")
_SINGLY: Final = 300
"""How many records of each order come one by one."""
_BASELINE: Final = 0.70
_FIRST_OTHERS: Final = 20
_LEAST: Final = 3
_DRAWS: Final = 100
"""Of what comes late; of sets of more than `_LARGE` records a fifth of them."""
_LARGE: Final = 4_000


def main() -> int:
    """Measure and print, a line of JSON each; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.resonance")
    parser.add_argument("folder", nargs="?", type=Path, default="../shared/data")
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--one-order", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_order is not None:
        sys.stdout.write(_one_order(arguments.folder, arguments.one_order))
        return 0
    sys.stdout.write(machine() + "\n")
    model = find_model(None, os.environ)
    if model is None:
        _tell("model", absent="'make meaning' installs it")
        return 1
    agreed = True
    for name in _SETS:
        path = arguments.folder / f"{name}.jsonl"
        if not path.is_file():
            _tell(name, absent=str(path))
            continue
        rows = read_rows(path)
        floats = embed(model, [row["text"] for row in rows])
        records = _records(rows, floats)
        if "intent" in rows[0]:
            _quality(name, rows, floats, records)
        _steadiness(name, records)
        agreed &= _orders(name, records, arguments.orders)
    return 0 if agreed else 1


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file with one JSON object to a line."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def published(text: str) -> str:
    """Return a text as it may be published."""
    line = unicodedata.normalize("NFC", " ".join(text.split()))
    return line.encode()[:280].decode(errors="ignore")


def embed(model: Path, texts: Sequence[str]) -> Floats:
    """Return the vectors of texts by the model in a folder."""
    # Only measuring looks behind the process that embeds.
    from sentence_transformers import SentenceTransformer

    loaded = SentenceTransformer(str(model), device="cpu", local_files_only=True)
    found: Floats = loaded.encode(
        list(texts), normalize_embeddings=True, show_progress_bar=False
    )
    return found


def _records(rows: Sequence[Mapping[str, Any]], floats: Floats) -> list[Contribution]:
    return [
        contribute(
            CIRCLE,
            sha256(
                f"{row.get('conversation')} {row.get('author', number)}".encode()
            ).digest(),
            number.to_bytes(16),
            1,
            text=published(row["text"]),
            model=MODEL,
            vector=vector.tobytes(),
            epoch=row.get("created_ms", 0) // _WEEK_MS,
        )
        for number, (row, vector) in enumerate(zip(rows, quantise(floats), strict=True))
    ]


def _quality(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    floats: Floats,
    records: Sequence[Contribution],
) -> None:
    classes = [row["intent"] for row in rows]
    numbers = {record.id: number for number, record in enumerate(records)}
    for preset in Preset:
        started = time.process_time()
        resonance = Resonance(CIRCLE, preset)
        resonance.put(records)
        nodes = resonance.result(FOUNDERS).nodes
        seconds = time.process_time() - started
        groups = [[numbers[each] for each in node.members] for node in nodes]
        _tell(
            name,
            preset=preset.name.lower(),
            **_figures(groups, classes),
            seconds=round(seconds, 2),
        )
    in_order = _running_average(floats)
    _tell(name, baseline=_BASELINE, **_figures(in_order, classes))
    order = np.random.default_rng(1).permutation(len(floats))
    shuffled = {
        frozenset(order[group].tolist()) for group in _running_average(floats[order])
    }
    same = len(shuffled & set(map(frozenset, in_order))) / len(in_order)
    _tell(name, baseline=_BASELINE, same_nodes_in_another_order=round(same, 3))


def _figures(groups: Sequence[Sequence[int]], classes: Sequence[str]) -> dict[str, Any]:
    owned: set[str] = set()
    precise = 0
    for group in groups:
        counts = Counter(classes[each] for each in group)
        counts.pop(OUT_OF_SCOPE, None)
        best, count = counts.most_common(1)[0] if counts else ("", 0)
        if count >= _LEAST and count * 3 >= len(group) * 2:
            precise += 1
            owned.add(best)
    sizes = Counter(each for each in classes if each != OUT_OF_SCOPE)
    ideas = sum(size >= _LEAST for size in sizes.values())
    precision, recall = precise / max(1, len(groups)), len(owned) / ideas
    return {
        "nodes": len(groups),
        "f": round(_harmonic(precision, recall), 3),
        "bcubed_f": round(_bcubed(groups, classes), 3),
        "covered": round(sum(map(len, groups)) / len(classes), 3),
    }


def _bcubed(groups: Sequence[Sequence[int]], classes: Sequence[str]) -> float:
    found: list[Hashable] = [("alone", number) for number in range(len(classes))]
    for at, group in enumerate(groups):
        for each in group:
            found[each] = at
    gold: list[Hashable] = [
        ("alone", number) if each == OUT_OF_SCOPE else each
        for number, each in enumerate(classes)
    ]
    both = Counter(zip(found, gold, strict=True))

    def mean(sizes: Mapping[Hashable, int], of: Callable[[int], Hashable]) -> float:
        shares = (
            both[found[each], gold[each]] / sizes[of(each)] for each in range(len(gold))
        )
        return sum(shares) / len(gold)

    return _harmonic(
        mean(Counter(found), found.__getitem__), mean(Counter(gold), gold.__getitem__)
    )


def _harmonic(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other else 0.0


def _running_average(floats: Floats) -> list[list[int]]:
    """Return the groups of whoever takes texts in order and never looks back."""
    groups: list[list[int]] = []
    sums: list[Floats] = []
    is_free = np.ones(len(floats), np.bool_)
    for number, row in enumerate(floats):
        if not is_free[number]:
            continue
        if sums:
            means = np.stack(sums)
            close = (means @ row) / np.linalg.norm(means, axis=1)
            best = int(close.argmax())
            if close[best] >= _BASELINE:
                groups[best].append(number)
                sums[best] = sums[best] + row
                is_free[number] = False
                continue
        close = np.where(is_free, floats @ row, -1)
        close[number] = -1
        others = np.argsort(-close, kind="stable")[:_FIRST_OTHERS]
        group = [number, *others[close[others] >= _BASELINE].tolist()]
        if len(group) >= _LEAST:
            groups.append(group)
            sums.append(floats[group].sum(axis=0))
            is_free[group] = False
    return groups


def _steadiness(name: str, records: Sequence[Contribution]) -> None:
    """Tell how many keys are lost when one record in a hundred comes later.

    Late ones are told by their week, as people are late, or by nothing: one of the same
    week counts as earlier than half of those that were there.
    """
    after_all = max(record.epoch for record in records) + 1
    draws = _DRAWS if len(records) <= _LARGE else _DRAWS // 5
    for arrival, late_epoch in (("a week later", after_all), ("in its week", None)):
        lost: list[float] = []
        followed: list[float] = []
        for seed in range(draws):
            present = list(records)
            random.Random(seed).shuffle(present)
            late = present[len(records) * 99 // 100 :]
            del present[len(records) * 99 // 100 :]
            if late_epoch is not None:
                late = [_dated(record, late_epoch) for record in late]
            resonance = Resonance(CIRCLE, Preset.STRICT)
            resonance.put(present)
            before = {n.key: set(n.members) for n in resonance.result(FOUNDERS).nodes}
            resonance.put(late)
            after = {n.key: set(n.members) for n in resonance.result(FOUNDERS).nodes}
            gone = before.keys() - after.keys()
            lost.append(len(gone) / len(before))
            strange = [k for k in gone if not _alike(before[k], after.values())]
            followed.append(1 - len(strange) / len(before))
        _tell(
            name,
            one_percent_more=arrival,
            draws=draws,
            keys_lost=round(fmean(lost), 4),
            standard_error=round(stdev(lost) / len(lost) ** 0.5, 4),
            most=round(max(lost), 4),
            followed_by_key_or_members=round(fmean(followed), 4),
        )


def _dated(record: Contribution, epoch: int) -> Contribution:
    """Return a record as its author would have published it in another week."""
    return contribute(
        CIRCLE,
        record.author,
        record.reference,
        record.sequence,
        text=record.text,
        model=record.model,
        vector=record.vector,
        epoch=epoch,
    )


def _alike(members: set[bytes], others: Iterable[set[bytes]]) -> bool:
    """Whether one of the others has so many of the members that it is the same."""
    return any(2 * len(members & each) >= len(members | each) for each in others)


def _orders(name: str, records: Sequence[Contribution], orders: int) -> bool:
    """Tell how many hashes fresh processes get; whether it is one."""
    resonance = Resonance(CIRCLE, Preset.STRICT)
    resonance.put(records)
    result = resonance.result(FOUNDERS)
    hashes = {result.hash.hex()}
    with TemporaryDirectory(prefix="fractality-resonance-") as scratch:
        file = Path(scratch, "records")
        file.write_text("\n".join(record.encoded.hex() for record in records))
        for seed in range(orders):
            command = [sys.executable, "-m", "bench.resonance", str(file)]
            ran = subprocess.run(
                [*command, "--one-order", str(seed)],
                capture_output=True,
                text=True,
                check=True,
            )
            hashes.add(ran.stdout)
    _tell(
        name,
        records=len(records),
        nodes=len(result.nodes),
        orders=orders,
        different_hashes=len(hashes),
        hash=result.hash.hex(),
    )
    return len(hashes) == 1


def _one_order(file: Path, seed: int) -> str:
    """Return the hash after one order, with records that come, go and come back."""
    records = [
        decode_contribution(bytes.fromhex(each)) for each in file.read_text().split()
    ]
    dice = random.Random(seed)
    dice.shuffle(records)
    resonance = Resonance(CIRCLE, Preset.STRICT)
    gone = [_passing(each) for each in records[: len(records) // 20]]
    waiting = records + [each for pair in gone for each in pair]
    dice.shuffle(waiting)
    singly = _SINGLY
    while waiting:
        count = 1 if singly and dice.random() < 0.9 else dice.randrange(2, 500)
        singly -= count == 1
        resonance.put(waiting[:count])
        del waiting[:count]
        if dice.random() < 0.02:
            resonance.result(FOUNDERS)
    return resonance.result(FOUNDERS).hash.hex()


def _passing(record: Contribution) -> tuple[Contribution, Contribution]:
    """Return another record with the same vector, and its retraction."""
    reference = sha256(record.id).digest()[:16]
    said = contribute(
        CIRCLE,
        record.author,
        reference,
        1,
        text=record.text,
        model=record.model,
        vector=record.vector,
        epoch=record.epoch,
    )
    taken = retract(
        CIRCLE, record.author, reference, 2, model=record.model, epoch=record.epoch
    )
    return said, taken


def _tell(what: str, **figures: Any) -> None:
    sys.stdout.write(json.dumps({"what": what, **figures}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
