"""Bytes and seconds in words."""


def size_words(room: float) -> str:
    """Bytes in the largest unit that leaves a number of at least 1."""
    for unit, length in (("GB", 1e9), ("MB", 1e6)):
        if room >= length:
            return f"{room / length:.1f} {unit}"
    return f"{room / 1e3:.0f} kB"


def time_words(seconds: float) -> str:
    """Seconds in the largest unit that leaves a number above 1."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"about {seconds / length:.1f} {unit}"
    return f"about {max(1, round(seconds))} s"
