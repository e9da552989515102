"""`twinpath evaluate` of a synthetic detection model: frame mAP with true boxes on fresh scenes."""

from __future__ import annotations

from pathlib import Path


def evaluate_on_scenes(
    model: str, weights: Path | None, *, scenes: int, seed: int, workers: int, device: str, json: bool
) -> None:
    """Make scenes as videos, score the people in their true boxes, print the frame mAP."""
    import numpy as np

    from twinpath.cli.console import bar, print_json, with_progress
    from twinpath.data.synthetic import ACTIONS
    from twinpath.evaluate.synthetic_scenes import EVERY_S, SceneBoxes, frame_map_of, scenes_with_truth
    from twinpath.recognize.detector import Detector

    detector = Detector(model, weights, device)

    def look(video: Path, boxes: Path) -> SceneBoxes:
        found = detector(video, people=str(boxes), every_s=EVERY_S, min_score=0.0, smooth_s=0.0)
        rows = [(seen, action) for track in found.tracks for seen in track.points for action in seen.actions]
        return SceneBoxes(
            np.asarray([seen.time_s for seen, _ in rows], dtype=np.float64),
            np.asarray([seen.box_xyxy_px for seen, _ in rows], dtype=np.float64).reshape(-1, 4),
            np.asarray([action.index for _, action in rows], dtype=np.int64),
            np.asarray([action.score for _, action in rows], dtype=np.float64),
        )

    answers = scenes_with_truth(look, num_scenes=scenes, seed=seed, workers=workers)
    pairs = list(with_progress(answers, total=scenes, title="testing"))
    result = frame_map_of(pairs)
    people = sum(len(truth.times_s) for truth, _ in pairs)
    if json:
        by_action = {ACTIONS[label]: ap for label, ap in result.by_class.items()}
        facts = {"scenes": scenes, "seed": seed, "people": people}
        print_json({"model": detector.model, **facts, "frame_map": result.mean, "by_action": by_action})
        return
    for label, ap in result.by_class.items():
        print(f"{ACTIONS[label]:<10} {bar(ap)} {100 * ap:5.1f} %")
    print(
        f"frame mAP@0.5 {100 * result.mean:.1f} % of {people} people at keyframes of {scenes} scenes, "
        "in their true boxes"
    )
