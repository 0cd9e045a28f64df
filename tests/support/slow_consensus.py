"""The rule rc1 a second time: plain Python, slow, read off the specification.

Shares nothing with the package `consensus` but the shape of a record, so that a fault
of one of the two shows as a difference. Everything is a list, a dict or an integer.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from hashlib import sha256
from math import isqrt
from typing import Any

from consensus.contribution import Contribution

PRESETS = {"strict": (0, 7000, 8000, 6500), "broad": (1, 6500, 8000, 6000)}
Vector = list[int]


def slow_consensus(
    preset: str,
    members: Mapping[bytes, tuple[bytes | None, bool]],
    records: Iterable[Contribution],
) -> dict[str, Any]:
    """Return nodes and result hash, as `fractality verify` prints them."""
    by_model = defaultdict(list)
    for record in standing(records):
        by_model[record.model].append(record)
    nodes = [
        node
        for records_of_model in by_model.values()
        for node in Slow(PRESETS[preset], members, records_of_model).nodes()
    ]
    nodes.sort(key=lambda node: str(node["key"]))
    hashed = b""
    for node in nodes:
        hashed += bytes.fromhex(node["key"])
        hashed += node["counted_authors"].to_bytes(4, "big")
        hashed += len(node["members"]).to_bytes(4, "big")
        hashed += b"".join(map(bytes.fromhex, node["members"]))
        hashed += bytes.fromhex(node["label_id"])
        hashed += node["score"].to_bytes(4, "big")
    return {"nodes": nodes, "result_hash": sha256(hashed).hexdigest()}


def standing(records: Iterable[Contribution]) -> list[Contribution]:
    """Return the live records that take part."""
    standing: dict[tuple[bytes, bytes], Contribution] = {}
    for record in sorted(records, key=lambda each: (each.sequence, flipped(each.id))):
        standing[record.author, record.reference] = record
    live = defaultdict(list)
    for record in standing.values():
        if record.operation == 0:
            live[record.author].append(record)
    return [
        record
        for mine in live.values()
        for record in sorted(mine, key=lambda each: (-each.sequence, each.id))[:500]
    ]


def flipped(id_: bytes) -> bytes:
    """Return an id such that the smaller one comes later."""
    return bytes(255 - byte for byte in id_)


def truncated(numerator: int, denominator: int) -> int:
    """Return the quotient, cut off toward zero."""
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient


def dot(left: Sequence[int], right: Sequence[int]) -> int:
    """Return the product of two vectors."""
    return sum(a * b for a, b in zip(left, right, strict=True))


def numbers(record: Contribution) -> Vector:
    """Return the vector of a record."""
    return [byte - 256 if byte > 127 else byte for byte in record.vector]


def unit(q: Vector) -> Vector:
    """Return a vector with a length of about 2 ** 14."""
    length = isqrt(dot(q, q) << 8)
    return [truncated(each << 18, length) for each in q]


def renorm(vector: Vector) -> Vector:
    """Return a sum brought back to a length of about 2 ** 14."""
    length = isqrt(dot(vector, vector))
    return [truncated(each << 14, length) for each in vector]


def csim(left: Vector, right: Vector) -> int:
    """Return the similarity of units and centroids."""
    return dot(left, right) * 10000 // 2**28


def added(vectors: Iterable[Vector]) -> Vector:
    """Return the sum of vectors."""
    return [sum(column) for column in zip(*vectors, strict=True)]


def half(age: int) -> int:
    """Return the weight after so many weeks."""
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(2) ** 30 * Decimal(2) ** (Decimal(-min(age, 207)) / 13)
        return int(exact.to_integral_value())


class Slow:
    """The rule on the live records of one model."""

    def __init__(
        self,
        preset: tuple[int, int, int, int],
        members: Mapping[bytes, tuple[bytes | None, bool]],
        records: Sequence[Contribution],
    ) -> None:
        self.preset_byte, self.star, self.merge, self.join = preset
        self.invited = members
        self.all = {record.id: record for record in records}
        self.q = {id_: numbers(record) for id_, record in self.all.items()}
        self.units = {id_: unit(q) for id_, q in self.q.items()}
        self.author = {id_: record.author for id_, record in self.all.items()}
        self.near = {
            s: {r for r in self.all if r != s and self.sim(s, r) >= self.star}
            for s in self.all
        }
        self.density = {s: self.density_at(s) for s in self.all}
        self.ranks = {s: (-self.density[s], s) for s in self.all}

    def sim(self, a: bytes, b: bytes) -> int:
        """Return the similarity of two contributions."""
        p, q = self.q[a], self.q[b]
        return dot(p, q) * 10000 // isqrt(dot(p, p) * dot(q, q))

    def density_at(self, s: bytes) -> int:
        """Return how dense it is around one."""
        best: dict[bytes, int] = {}
        for r in self.near[s]:
            author = self.author[r]
            if author != self.author[s]:
                best[author] = max(best.get(author, 0), self.sim(s, r) - 5000)
        return sum(best.values())

    def stars(self) -> dict[bytes, bytes]:
        """Return the centre of each one's star."""
        centres: list[bytes] = []
        covered: set[bytes] = set()
        for s in sorted(self.all, key=self.ranks.__getitem__):
            if s not in covered:
                centres.append(s)
                covered |= {s, *self.near[s]}
        star = {}
        for s in self.all:
            if s in centres:
                star[s] = s
            else:
                star[s] = min(
                    (c for c in centres if c in self.near[s]),
                    key=lambda c: (-self.sim(s, c), self.ranks[c]),
                )
        return star

    def groups(self) -> list[tuple[set[bytes], Vector]]:
        """Return core and centroid of each group, in order."""
        in_star = defaultdict(list)
        for s, centre in self.stars().items():
            in_star[centre].append(s)
        seeds = []
        for centre, inside in in_star.items():
            reps: dict[bytes, bytes] = {}
            for s in sorted(
                inside, key=lambda s: (s != centre, -self.sim(s, centre), s)
            ):
                reps.setdefault(self.author[s], s)
            if len(reps) >= 3:
                seeds.append((-len(reps), self.ranks[centre], set(reps.values())))
        seeds.sort(key=lambda seed: seed[:2])
        centroids = [renorm(added(self.units[s] for s in reps)) for _, _, reps in seeds]
        used: set[int] = set()
        groups = []
        for a in range(len(seeds)):
            if a in used:
                continue
            together = [a] + [
                b
                for b in range(len(seeds))
                if b != a
                and b not in used
                and csim(centroids[a], centroids[b]) >= self.merge
            ]
            used |= set(together)
            core = set().union(*(seeds[each][2] for each in together))
            groups.append((core, renorm(added(self.units[s] for s in core))))
        return groups

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes, in no order."""
        groups = self.groups()
        joined: list[list[bytes]] = [[] for _ in groups]
        for s in self.all:
            close = [csim(self.units[s], centroid) for _, centroid in groups]
            if close and max(close) >= self.join:
                joined[close.index(max(close))].append(s)
        return [
            self.node(core, centroid, sorted(inside))
            for (core, centroid), inside in zip(groups, joined, strict=True)
            if self.counted(inside) >= 3
        ]

    def counted(self, inside: Iterable[bytes]) -> int:
        """Return how many authors of these count."""
        branches = Counter(map(self.branch, {self.author[s] for s in inside}))
        founders = branches.pop(None, 0)
        return founders + sum(min(2, count) for count in branches.values())

    def branch(self, author: bytes) -> bytes | None:
        """Return by whom the branch of an author begins, None for a founder."""
        inviter, vouched = self.invited.get(author, (None, False))
        if inviter is None:
            return None
        if vouched or self.invited.get(inviter, (None, False))[0] is None:
            return author
        return self.branch(inviter)

    def node(
        self, core: set[bytes], centroid: Vector, inside: list[bytes]
    ) -> dict[str, Any]:
        """Return one node."""
        earliest = min(core, key=lambda s: (self.all[s].epoch, s))
        record = self.all[earliest]
        key = sha256(
            b"fractality/rc1/key"
            + record.circle
            + record.model
            + bytes([self.preset_byte])
            + earliest
        )
        label = min(inside, key=lambda s: (-self.weight(s, inside), s))
        counted = self.counted(inside)
        return {
            "key": key.hexdigest(),
            "status": "emerging" if counted == 3 else "consensus",
            "counted_authors": counted,
            "contributor_count": len({self.author[s] for s in inside}),
            "members": [s.hex() for s in inside],
            "label_id": label.hex(),
            "label": self.all[label].text,
            "score": self.score(centroid, inside),
        }

    def weight(self, s: bytes, inside: Iterable[bytes]) -> int:
        """Return how close the others' best are to one."""
        best: dict[bytes, int] = {}
        for r in inside:
            author = self.author[r]
            if author != self.author[s]:
                best[author] = max(best.get(author, 0), self.sim(s, r) - 5000)
        return sum(best.values())

    def score(self, centroid: Vector, inside: Sequence[bytes]) -> int:
        """Return the resonance of a node."""
        newest: dict[bytes, int] = {}
        for record in self.all.values():
            known = newest.get(record.author, 0)
            newest[record.author] = max(known, record.epoch)
        clock = sorted(newest.values())[-3]
        voices: dict[bytes, bytes] = {}
        for s in sorted(inside, key=lambda s: (-csim(self.units[s], centroid), s)):
            voices.setdefault(self.author[s], s)
        weights = {s: half(max(0, clock - self.all[s].epoch)) for s in voices.values()}
        vectors = [[w * each for each in self.units[s]] for s, w in weights.items()]
        together = added(vectors)
        above = dot(together, together) - sum(dot(v, v) for v in vectors)
        below = sum(weights.values()) ** 2 - sum(w * w for w in weights.values())
        return min(10000, max(0, 10000 * above // (2**28 * below)))
