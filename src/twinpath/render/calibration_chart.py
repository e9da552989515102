"""A diagram of how far scores can be believed, as SVG in a page."""

from __future__ import annotations

from collections.abc import Sequence

from twinpath.results.evaluation import CalibrationBin, EvaluationSummary

_SIDE, _LEFT, _TOP, _COUNTS_HIGH, _GAP = 300, 44, 12, 46, 34  # in units of the SVG
_AGREE = 0.02  # of a mean score and the share that is right


def calibration_chart(bins: Sequence[CalibrationBin], *, is_multi_label: bool) -> str:
    """Bars of the share that is right by score, with the diagonal of true scores; below, their numbers."""
    floor = _TOP + _SIDE
    height = floor + _GAP + _COUNTS_HIGH + 24
    parts = [
        f'<svg class="calibration" viewBox="0 0 {_LEFT + _SIDE + 12} {height}" role="img" '
        f'aria-label="Share that is right by score">',
        f'<rect class="plot" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"/>',
    ]
    for percent in (0, 25, 50, 75, 100):
        y, x = floor - _SIDE * percent / 100, _LEFT + _SIDE * percent / 100
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _SIDE}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{percent} %</text>')
        parts.append(f'<text x="{x}" y="{floor + 16}" text-anchor="middle">{percent}</text>')
    most = max(b.count for b in bins)
    parts += [_bar(b, floor, most) for b in bins if b.count]
    parts.append(f'<line class="true" x1="{_LEFT}" y1="{floor}" x2="{_LEFT + _SIDE}" y2="{_TOP}"/>')
    axis = "score of a class, %" if is_multi_label else "score of the answer, %"
    below = floor + _GAP + _COUNTS_HIGH
    parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _SIDE}" y1="{below}" y2="{below}"/>')
    parts.append(f'<text x="{_LEFT - 6}" y="{below}" text-anchor="end">count</text>')
    parts.append(f'<text x="{_LEFT + _SIDE / 2}" y="{below + 18}" text-anchor="middle">{axis}</text>')
    return "".join(parts) + "</svg>"


def _bar(b: CalibrationBin, floor: float, most: int) -> str:
    """The bar of a bin, its mean score, and how many are in it."""
    assert b.mean_score is not None
    assert b.share_right is not None
    x, width = _LEFT + _SIDE * b.low, _SIDE * (b.high - b.low)
    high = _SIDE * b.share_right
    count_high = max(_COUNTS_HIGH * b.count / most, 1)
    at = _LEFT + _SIDE * b.mean_score, floor - high
    title = (
        f"{b.count} scored {100 * b.low:.0f} to {100 * b.high:.0f} %, on average {100 * b.mean_score:.1f} %: "
        f"{100 * b.share_right:.1f} % right"
    )
    return (
        f'<g><title>{title}</title><rect class="share" x="{x + 1.5:.1f}" y="{floor - high:.1f}" '
        f'width="{width - 3:.1f}" height="{max(high, 1):.1f}"/>'
        f'<circle class="mean" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="3.5"/>'
        f'<rect class="count" x="{x + 1.5:.1f}" y="{floor + _GAP + _COUNTS_HIGH - count_high:.1f}" '
        f'width="{width - 3:.1f}" height="{count_high:.1f}"/></g>'
    )


def calibration_in_words(summary: EvaluationSummary) -> str:
    """Whether scores promise too much or too little."""
    filled = [b for b in summary.calibration if b.count]
    total = sum(b.count for b in filled)
    mean = sum(b.count * (b.mean_score or 0) for b in filled) / total
    right = sum(b.count * (b.share_right or 0) for b in filled) / total
    is_multi_label = summary.top1 is None
    says = (
        f"The mean score is {100 * mean:.1f} %, and {100 * right:.1f} % are "
        f"{'true' if is_multi_label else 'right'}: "
    )
    if mean - right > _AGREE:
        return says + ("scores are too high." if is_multi_label else "the model is too sure of itself.")
    if right - mean > _AGREE:
        low = "scores are too low." if is_multi_label else "the model is less sure than it could be."
        return says + low
    return says + "on average the scores are what they promise."
