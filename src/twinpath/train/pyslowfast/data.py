"""Which clips a configuration of PySlowFast trains on. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from twinpath.errors import ConfigError

Values = Mapping[str, Any]

_KINDS = {
    "kinetics": "kinetics",
    "ptvkinetics": "kinetics",
    "ssv2": "something",
    "ptvssv2": "something",
    "charades": "charades",
    "ptvcharades": "charades",
    "ava": "ava",
    "imagenet": "imagenet",
}
_IMAGE_AREA, _IMAGE_ASPECT = (0.08, 1.0), (0.75, 4 / 3)  # of crops of images, where none are given


def data_section(values: Values) -> dict[str, Any]:
    """Kind and lists; paths are empty where the configuration has none.

    Raises:
        ConfigError: Data of a kind that is not read.
    """
    name = str(values["TRAIN.DATASET"]).lower()
    if name not in _KINDS:
        raise ConfigError(f"TRAIN.DATASET = {name!r}: it is one of {', '.join(_KINDS)}")
    kind = _KINDS[name]
    if values["MASK.ENABLE"]:
        if kind != "kinetics":
            raise ConfigError(f"MASK.ENABLE: masked pre-training is for videos, not for {name}")
        kind = "unlabelled"
    multi_label = bool(values["DATA.MULTI_LABEL"]) or kind in ("charades", "ava")
    return {
        "kind": kind,
        "multi_label": multi_label,
        **(_ava(values) if kind == "ava" else _lists(values, kind)),
    }


def _lists(values: Values, kind: str) -> dict[str, Any]:
    folder = values["DATA.PATH_TO_DATA_DIR"] or ""
    section: dict[str, Any] = {
        "separator": values["DATA.PATH_LABEL_SEPARATOR"],
        "videos": values["DATA.PATH_PREFIX"] or "",
    }
    if not folder:
        return section
    files = {
        "something": ("something-something-v2-train.json", "something-something-v2-validation.json", ""),
        "imagenet": ("train", "val", ""),
        "charades": ("train.csv", "val.csv", ""),
    }.get(kind, ("train.csv", "val.csv", "test.csv"))
    train, validation, test = ([_joined(folder, file)] if file else [] for file in files)
    section |= {"train": train, "validation": validation, "test": test}
    if kind == "something":
        section["labels"] = _joined(folder, "something-something-v2-labels.json")
    return section


def _ava(values: Values) -> dict[str, Any]:
    lists, annotations = values["AVA.FRAME_LIST_DIR"] or "", values["AVA.ANNOTATION_DIR"] or ""
    section: dict[str, Any] = {
        "videos": values["AVA.FRAME_DIR"] or "",
        "least_box_score": values["AVA.DETECTION_SCORE_THRESH"],
    }
    if lists:
        section["train"] = [_joined(lists, file) for file in values["AVA.TRAIN_LISTS"] or []]
        section["validation"] = [_joined(lists, file) for file in values["AVA.TEST_LISTS"] or []]
    if annotations:
        boxes = {
            "boxes_train": "AVA.TRAIN_GT_BOX_LISTS",
            "predicted_boxes_train": "AVA.TRAIN_PREDICT_BOX_LISTS",
            "predicted_boxes_test": "AVA.TEST_PREDICT_BOX_LISTS",
        }
        section |= {key: [_joined(annotations, f) for f in values[name] or []] for key, name in boxes.items()}
        files = {
            "boxes_test": "AVA.GROUNDTRUTH_FILE",
            "excluded": "AVA.EXCLUSION_FILE",
            "labels": "AVA.LABEL_MAP_FILE",
        }
        section |= {key: _joined(annotations, values[name]) for key, name in files.items() if values[name]}
    return section


def _joined(folder: str, name: str) -> str:
    return str(PurePosixPath(folder) / str(name))


def clip_section(values: Values, kind: str) -> dict[str, Any]:
    """Frames and crops in training.

    Raises:
        ConfigError: A list of another length.
    """
    area = tuple(values["DATA.TRAIN_JITTER_SCALES_RELATIVE"] or ())
    aspect = tuple(values["DATA.TRAIN_JITTER_ASPECT_RELATIVE"] or ())
    if kind == "ava":
        area = ()  # its data set does not look at it
    if kind == "imagenet":
        area, aspect = area or _IMAGE_AREA, aspect or _IMAGE_ASPECT
    return {
        "frames": values["DATA.NUM_FRAMES"],
        "sampling_rate": values["DATA.SAMPLING_RATE"] if kind != "imagenet" else None,
        "fps_jitter": values["DATA.TRAIN_JITTER_FPS"],
        "short_side_px": values["DATA.TRAIN_JITTER_SCALES"],
        "inverse_uniform": bool(values["DATA.INV_UNIFORM_SAMPLE"]) or kind == "ava",  # of AVA always
        "crop_px": values["DATA.TRAIN_CROP_SIZE"],
        "area": area or None,
        "aspect": aspect or None,
        "motion_shift": values["DATA.TRAIN_JITTER_MOTION_SHIFT"] and bool(area),
        "flip": values["DATA.RANDOM_FLIP"],
        "bgr": values["AVA.BGR"] if kind == "ava" else values["DATA.REVERSE_INPUT_CHANNEL"],
        "mean": values["DATA.MEAN"],
        "std": values["DATA.STD"],
        "temporal_clips": values["DATA.TRAIN_CROP_NUM_TEMPORAL"],
        "repeats": values["AUG.NUM_SAMPLE"],
    }
