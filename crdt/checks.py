"""The limits of what a person may put into a graph, checked before anything moves.

Every function returns or raises `InvalidError` that names the field.
"""

import math
from typing import Any

import msgspec

from crdt.energy import HALF_LIFE, MAX_HALF_LIFE, MAX_LANDMARK, MAX_PULSE
from crdt.errors import InvalidError
from crdt.ids import (
    MAX_BODY_BYTES,
    MAX_KEY_BYTES,
    MAX_LABEL_BYTES,
    MAX_METADATA_BYTES,
    MAX_TYPE_BYTES,
    DeviceId,
    format_id,
    has_control_characters,
    parse_id,
)
from crdt.json_text import MAX_NESTING, is_shallow
from crdt.schema import MAX_TIME_MS, MAX_VERSION

_encode = msgspec.json.Encoder().encode


def check_label(label: str) -> None:
    """A label is up to 4 KiB of text, and not empty."""
    if not label:
        raise InvalidError("label", "must not be empty")
    _check_text("label", label, MAX_LABEL_BYTES)


def check_name(field: str, name: str) -> None:
    """A type or network is a short line of text."""
    if not name:
        raise InvalidError(field, "must not be empty")
    if has_control_characters(name):
        raise InvalidError(field, "must not contain control characters")
    _check_text(field, name, MAX_TYPE_BYTES)


def check_metadata(metadata: dict[str, Any]) -> None:
    """Metadata is a JSON object of up to 64 KiB whose names are short lines."""
    if not metadata:
        return
    for name in metadata:
        if not name or has_control_characters(name):
            raise InvalidError(
                "metadata", "names must not be empty or contain control characters"
            )
        _check_text("metadata", name, MAX_KEY_BYTES)
    try:
        encoded = _encode(metadata).decode()
    except (UnicodeEncodeError, RecursionError, ValueError):
        raise InvalidError("metadata", "must be valid JSON") from None
    if not is_shallow(encoded):
        raise InvalidError("metadata", f"must nest at most {MAX_NESTING - 1} deep")
    if len(encoded.encode()) > MAX_METADATA_BYTES:
        raise InvalidError("metadata", f"must be at most {MAX_METADATA_BYTES} bytes")


def checked_weight(weight: float) -> float:
    """Return a weight, which is finite, as the read model gives it back."""
    if not math.isfinite(weight):
        raise InvalidError("weight", "must be a finite number")
    return float(weight) + 0.0  # SQLite knows no -0.0


def check_energy(energy: float) -> None:
    """A pulse adds energy; what is spent decays by itself."""
    if not 0 <= energy <= MAX_PULSE:
        raise InvalidError("energy", f"must be a number from 0 to {MAX_PULSE:.0f}")


def check_body(text: str) -> None:
    """A body is up to 4 MiB of text."""
    _check_text("body", text, MAX_BODY_BYTES)


def check_time(field: str, time_ms: int) -> None:
    """A time is between 1970 and the year 9999."""
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise InvalidError(field, "must be a time from 1970 to 9999")


def check_version(version: int) -> None:
    """A version is a positive number that JavaScript can hold."""
    if not 1 <= version < MAX_VERSION:
        raise InvalidError("version", "must be a positive integer")


def format_accumulator(device: DeviceId, half_life: int) -> str:
    """Return how an export names an accumulator: `DEVICE`, or `DEVICE@HOURS`."""
    name = format_id(device)
    return name if half_life == HALF_LIFE else f"{name}@{half_life}"


def checked_accumulators(
    accumulators: dict[str, float],
) -> dict[tuple[DeviceId, int], float]:
    """Return landmark energies by device id and half-life, as exports carry them."""
    if not all(abs(landmark) <= MAX_LANDMARK for landmark in accumulators.values()):
        raise InvalidError("accumulators", "must be landmarks within their limits")
    return {_accumulator(name): value for name, value in accumulators.items()}


def _accumulator(name: str) -> tuple[DeviceId, int]:
    device, at, hours = name.partition("@")
    if not at:
        return DeviceId(parse_id(device)), HALF_LIFE
    if not (hours.isascii() and hours.isdigit() and len(hours) <= 5):
        raise InvalidError("accumulators", "must name half-lives in whole hours")
    if not 1 <= int(hours) <= MAX_HALF_LIFE:
        raise InvalidError("accumulators", f"must have half-lives to {MAX_HALF_LIFE} h")
    return DeviceId(parse_id(device)), int(hours)


def _check_text(field: str, text: str, limit: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidError(field, "must be valid Unicode") from None
    if size > limit:
        raise InvalidError(field, f"must be at most {limit} bytes of UTF-8")
