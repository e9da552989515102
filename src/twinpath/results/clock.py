"""Times as text."""

from __future__ import annotations


def clock(time_s: float, digits: int = 1) -> str:
    """Seconds as text: 0:07.5, 12:07.5, 1:12:07.5."""
    ticks = round(time_s * 10**digits)
    seconds, fraction = divmod(ticks, 10**digits)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{text}.{fraction:0{digits}}" if digits else text
