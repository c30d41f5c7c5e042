"""Units: sizes, times and counts as people write and read them. Sizes are binary, in settings as in what is shown."""

from __future__ import annotations

import re


def parse_bytes(size: str) -> int | None:
    """Return the bytes of a size such as 4g, 512m or 1.5t, or None if it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt])b?", size.strip().lower())
    return int(float(found[1]) * 2 ** (10 * (1 + "kmgt".index(found[2])))) if found else None


def show_bytes(n_bytes: int) -> str:
    """Return a size in MiB or GiB."""
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.1f} MiB"


def show_count(number: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: 1 row, 1,000 rows; ``plural`` where it is not the noun and an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def show_seconds(seconds: float) -> str:
    """Return a time in hours, minutes and whole seconds."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
