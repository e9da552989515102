"""How `twinpath evaluate` prints accuracy and frame mAP on the synthetic world: bars, or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinpath.cli.console import print_line

if TYPE_CHECKING:
    from twinpath.evaluate.synthetic_clips import Summary
    from twinpath.metrics.frame_map import FrameMap


def print_accuracy(model: str, summary: Summary, clips: int, seed: int, *, as_json: bool) -> None:
    """A bar for each action, the share of right answers, and the commonest confusions."""
    from twinpath.cli.console import bar, print_json

    if as_json:
        print_json({"model": model, "clips": clips, "seed": seed, **summary.to_dict()})
        return
    for action, share in summary.by_action.items():
        print_line(f"{action:<10} {bar(share)} {100 * share:5.1f} %")
    low, high = summary.interval
    print_line(
        f"top-1 {100 * summary.top1:.1f} % of {clips} clips "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f})"
    )
    for wrong in summary.confusions[:5]:
        print_line(f"  {wrong.count} x {wrong.truth} taken for {wrong.answer}")


def print_frame_map(
    model: str, result: FrameMap, scenes: int, seed: int, people: int, *, as_json: bool
) -> None:
    """A bar for each action, and the mean."""
    from twinpath.cli.console import bar, print_json
    from twinpath.data.synthetic import ACTIONS

    if as_json:
        by_action = {ACTIONS[label]: ap for label, ap in result.by_class.items()}
        facts = {"scenes": scenes, "seed": seed, "people": people}
        print_json({"model": model, **facts, "frame_map": result.mean, "by_action": by_action})
        return
    for label, ap in result.by_class.items():
        print_line(f"{ACTIONS[label]:<10} {bar(ap)} {100 * ap:5.1f} %")
    print_line(
        f"frame mAP@0.5 {100 * result.mean:.1f} % of {people} people at keyframes of {scenes} scenes, "
        "in their true boxes"
    )
