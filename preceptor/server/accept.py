"""Choosing between two forms of a response by the request's `Accept` (RFC 9110, section 12.5.1)."""

from collections.abc import Iterator


def prefers(accept: str, wanted: str, *, to: str = "application/json") -> bool:
    """Whether a client would rather have one form than the form that everybody gets.

    Args:
        accept: The header, or all of them joined by commas.
        wanted: A media type. Where both are as welcome, it is preferred only if it is named: `*/*` asks for nothing.
        to: Media type of what everybody gets.
    """
    ranges = list(_ranges(accept))
    quality, named = _quality(ranges, wanted)
    usual, _ = _quality(ranges, to)
    return quality > usual or (quality == usual > 0 and named)


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        weights = [text[2:].strip() for text in parameters if text.startswith("q=")]
        if media:
            yield media, _weight(weights[0]) if weights else 1.0


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 1.0


def _quality(ranges: list[tuple[str, float]], media: str) -> tuple[float, bool]:
    """Returns the quality of a media type, which the most exact range decides, and whether it is named."""
    for pattern in (media, f"{media.partition('/')[0]}/*", "*/*"):
        found = [quality for name, quality in ranges if name == pattern]
        if found:
            return max(found), pattern == media
    return 0.0, False
