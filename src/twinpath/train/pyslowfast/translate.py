"""A configuration of PySlowFast as a recipe. No torch.

    translation = translate(Path("SLOWFAST_8x8_R50.yaml"), ["TRAIN.BATCH_SIZE", "32"])
    translation.recipe                  # as any other recipe
    translation.notes                   # what is ignored, or other than there

`keys.csv` says of each key what becomes of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinpath.data.ava.training import VALIDATION_EVERY
from twinpath.errors import ConfigError
from twinpath.escapes import shown
from twinpath.models.registry import Architecture
from twinpath.train.pyslowfast.data import clip_section, data_section
from twinpath.train.pyslowfast.keys import check_refused, completed, is_numbers, notes_on_ignored
from twinpath.train.pyslowfast.networks import find_network
from twinpath.train.pyslowfast.yaml_file import parse_pairs, read_yaml
from twinpath.train.recipe import Recipe, recipe_of

Values = Mapping[str, Any]
Section = dict[str, Any]

_LOSSES = {
    "cross_entropy": "cross_entropy",
    "soft_cross_entropy": "cross_entropy",  # of mixed labels
    "bce": "binary",  # of probabilities; ours is of logits, which is the same and stable
    "bce_logit": "binary",
}
_NORMS = {
    "batchnorm": "batch",
    "sync_batchnorm": "sync",
    "sync_batchnorm_apex": "sync",
    "sub_batchnorm": "sub",
}
_POLICIES = {"cosine": "cosine", "steps_with_relative_lrs": "steps"}
_OPTIMIZERS = {"sgd": "sgd", "adam": "adam", "adamw": "adamw", "mt_adamw": "adamw"}
_ERASING = {"pixel": "pixel", "rand": "color", "const": "zero"}
_BACKBONES = {"resnet3d": ("pathway",), "slowfast": ("slow", "fast", "laterals")}  # all but the head
_TRANSFORMERS = ("mvit", "vit", "reversible")


@dataclass(frozen=True)
class Translation:
    """A recipe, and what a reader should know of how it came about.

    Attributes:
        recipe: Of the same training, as far as the notes do not tell otherwise.
        notes: One line each.
    """

    recipe: Recipe
    notes: tuple[str, ...]


def translate(path: Path, overrides: Sequence[str] = ()) -> Translation:
    """Read a configuration of PySlowFast.

    Args:
        path: The YAML file.
        overrides: Settings that replace those of the file, as PySlowFast takes them: KEY VALUE KEY VALUE …
    Raises:
        ConfigError: The file cannot be read; an unknown key; a setting that cannot be had here, with the
            reason; no such network, with the nearest.
    """
    read = read_yaml(path)
    values = completed({**read.values, **parse_pairs(overrides)}, str(path))
    check_refused(values, str(path))
    try:
        network = find_network(values)
        sections = sections_of(values, network)
    except ConfigError as error:
        raise ConfigError(f"{path}: {shown(str(error))}") from error
    name = re.sub(r"[^\w.-]", "_", path.stem, flags=re.ASCII)
    recipe = recipe_of({"name": name, **sections}, origin=str(path))
    notes = (*read.notes, *_notes(values, network), *notes_on_ignored(values))
    return Translation(recipe, notes)


def sections_of(values: Values, network: Architecture) -> dict[str, Section]:
    """The sections of a recipe, with those values that PySlowFast decides.

    Args:
        values: All settings, as `keys.completed` gives them.
        network: That they describe.
    Raises:
        ConfigError: A setting that cannot be had here.
    """
    data = data_section(values)
    sections = {
        "model": _model(values, network),
        "data": data,
        "clip": clip_section(values, data["kind"]),
        "augmentation": _augmentation(values, data["kind"]),
        "mix": _mix(values),
        "optimizer": _optimizer(values, network),
        "schedule": _schedule(values),
        "batch_norm": _batch_norm(values, network),
        "multigrid": _multigrid(values),
        "loss": {"kind": _loss(values)},
        "mask": _mask(values),
        "evaluation": _evaluation(values, data["kind"]),
        "run": _run(values),
        "log": _log(values),
    }
    return {name: {k: v for k, v in section.items() if v is not None} for name, section in sections.items()}


def _choice(values: Values, key: str, choices: Mapping[str, str]) -> str:
    if values[key] not in choices:
        raise ConfigError(f"{key} = {values[key]!r}: it is one of {', '.join(choices)}")
    return choices[values[key]]


def _model(values: Values, network: Architecture) -> Section:
    start_from = values["TRAIN.CHECKPOINT_FILE_PATH"] or ""
    inflate = values["TRAIN.CHECKPOINT_INFLATE"] or values["TRAIN.CHECKPOINT_IN_INIT"]
    frozen: tuple[str, ...] = ()
    if values["MODEL.DETACH_FINAL_FC"]:
        if network.family not in _BACKBONES:
            raise ConfigError(f"MODEL.DETACH_FINAL_FC: it is translated for ResNets, not for {network.name}")
        frozen = _BACKBONES[network.family]
    is_transformer = network.family in _TRANSFORMERS
    return {
        "network": network.name,
        "start_from": start_from,
        "inflate": bool(inflate and start_from),
        "dropout": values["MODEL.DROPOUT_RATE"],
        "drop_path": values["MVIT.DROPPATH_RATE"] if is_transformer else None,
        "num_classes": values["MODEL.NUM_CLASSES"],
        "zero_init_last_norm": None if is_transformer else values["RESNET.ZERO_INIT_FINAL_BN"],
        "head_init_std": values["MODEL.FC_INIT_STD"],
        "head_init_scale": values["MVIT.HEAD_INIT_SCALE"],
        "checkpoint_blocks": values["MODEL.ACT_CHECKPOINT"],
        "frozen": frozen,
        "roi_aligned": values["DETECTION.ALIGNED"] if network.is_detector else None,
    }


def _augmentation(values: Values, kind: str) -> Section:
    section: Section = {"interpolation": values["AUG.INTERPOLATION"]}
    if values["AUG.ENABLE"] and kind != "ava":  # its data set does not look at AUG
        section |= {
            "rand_augment": _rand_augment(values["AUG.AA_TYPE"] or ""),
            "erasing": values["AUG.RE_PROB"],
            "erasing_mode": _choice(values, "AUG.RE_MODE", _ERASING),
        }
    elif kind == "imagenet":
        section["pca_lighting"] = 0.1  # as PySlowFast does without AUG
    if kind == "ava" and values["AVA.TRAIN_USE_COLOR_AUGMENTATION"]:
        strength = 0.0 if values["AVA.TRAIN_PCA_JITTER_ONLY"] else 0.4
        section |= dict.fromkeys(("brightness", "contrast", "saturation"), strength) | {"pca_lighting": 0.1}
    if values["DATA.SSL_COLOR_JITTER"]:
        strengths = values["DATA.SSL_COLOR_BRI_CON_SAT"]
        if not is_numbers(strengths) or len(strengths) != 3:
            raise ConfigError(f"DATA.SSL_COLOR_BRI_CON_SAT = {strengths!r}: it has three numbers")
        brightness, contrast, saturation = strengths
        many = values["DATA.SSL_MOCOV2_AUG"]
        section |= {
            "brightness": brightness,
            "contrast": contrast,
            "saturation": saturation,
            "hue": values["DATA.SSL_COLOR_HUE"],
            "color_probability": 0.8 if many else 1.0,
            "blur": 0.5 if many else 0.0,
            "grayscale": values["DATA.COLOR_RND_GRAYSCALE"],
        }
    return section


def _rand_augment(text: str) -> str:
    """ "rand-m7-n4-mstd0.5-inc1" without its first word. Any text after "inc" is true in PySlowFast."""
    if not text:
        return ""
    first, _, rest = text.partition("-")
    if first != "rand":
        raise ConfigError(f"AUG.AA_TYPE = {text!r}: only RandAugment, rand-m…")
    return re.sub(r"-inc0(?=-|$)", "-inc1", rest)


def _mix(values: Values) -> Section:
    if not values["MIXUP.ENABLE"]:
        return {}
    return {
        "mixup_alpha": values["MIXUP.ALPHA"],
        "cutmix_alpha": values["MIXUP.CUTMIX_ALPHA"],
        "probability": values["MIXUP.PROB"],
        "cutmix_share": values["MIXUP.SWITCH_PROB"],
        "label_smoothing": values["MIXUP.LABEL_SMOOTH_VALUE"],
    }


def _optimizer(values: Values, network: Architecture) -> Section:
    return {
        "name": _choice(values, "SOLVER.OPTIMIZING_METHOD", _OPTIMIZERS),
        "momentum": values["SOLVER.MOMENTUM"],
        "dampening": values["SOLVER.DAMPENING"],
        "nesterov": values["SOLVER.NESTEROV"],
        "betas": values["SOLVER.BETAS"],
        "weight_decay": values["SOLVER.WEIGHT_DECAY"],
        "norm_weight_decay": values["BN.WEIGHT_DECAY"],
        "decay_1d": not values["SOLVER.ZERO_WD_1D_PARAM"],
        "decay_positions": not values["MVIT.ZERO_DECAY_POS_CLS"] if network.family in _TRANSFORMERS else None,
        "layer_decay": values["SOLVER.LAYER_DECAY"],
        "lars": values["SOLVER.LARS_ON"],
        "clip_value": values["SOLVER.CLIP_GRAD_VAL"],
        # There, values are clipped and the norm is not where both are given.
        "clip_norm": None if values["SOLVER.CLIP_GRAD_VAL"] else values["SOLVER.CLIP_GRAD_L2NORM"],
    }


def _schedule(values: Values) -> Section:
    policy = _choice(values, "SOLVER.LR_POLICY", _POLICIES)
    epochs = values["SOLVER.MAX_EPOCH"]
    scaled = values["SOLVER.BASE_LR_SCALE_NUM_SHARDS"]  # over machines, each with such a batch
    section = {
        "policy": policy,
        "epochs": epochs,
        "base_learning_rate": values["SOLVER.BASE_LR"],
        "end_learning_rate": values["SOLVER.COSINE_END_LR"],
        "warmup_epochs": values["SOLVER.WARMUP_EPOCHS"],
        "warmup_start_learning_rate": values["SOLVER.WARMUP_START_LR"],
        "cosine_after_warmup": values["SOLVER.COSINE_AFTER_WARMUP"],
        "gamma": values["SOLVER.GAMMA"],
        "reference_batch": values["TRAIN.BATCH_SIZE"] if scaled else None,
    }
    if policy == "cosine":
        if values["MULTIGRID.LONG_CYCLE"]:
            raise ConfigError(
                "MULTIGRID.LONG_CYCLE: it needs SOLVER.LR_POLICY steps_with_relative_lrs and STEPS"
            )
        return section
    if not is_numbers(values["SOLVER.STEPS"]):
        raise ConfigError(f"SOLVER.STEPS = {values['SOLVER.STEPS']!r}: it is a list of numbers")
    steps = [step for step in values["SOLVER.STEPS"] if step < epochs]  # later ones are never reached
    factors = values["SOLVER.LRS"][: len(steps)]
    if len(factors) < len(steps):
        raise ConfigError(f"SOLVER.LRS: {len(factors)} factors for {len(steps)} steps")
    return {**section, "steps": steps, "factors": factors, "end_learning_rate": 0.0}


def _machines_of_rate(values: Values) -> int:
    return int(values["NUM_SHARDS"]) if values["SOLVER.BASE_LR_SCALE_NUM_SHARDS"] else 1


def _batch_norm(values: Values, network: Architecture) -> Section:
    if network.family in _TRANSFORMERS:
        return {}
    kind = _choice(values, "BN.NORM_TYPE", _NORMS)
    devices = 1 if values["BN.GLOBAL_SYNC"] else values["BN.NUM_SYNC_DEVICES"]
    return {
        "kind": kind,
        "splits": values["BN.NUM_SPLITS"] if kind == "sub" else 1,
        "devices": devices if kind == "sync" else 1,
        "precise_batches": values["BN.NUM_BATCHES_PRECISE"] if values["BN.USE_PRECISE_STATS"] else 0,
        "frozen": values["MODEL.FROZEN_BN"],
    }


def _multigrid(values: Values) -> Section:
    if not (values["MULTIGRID.LONG_CYCLE"] or values["MULTIGRID.SHORT_CYCLE"]):
        return {}
    return {
        "long_cycle": values["MULTIGRID.LONG_CYCLE"],
        "short_cycle": values["MULTIGRID.SHORT_CYCLE"],
        "long_factors": values["MULTIGRID.LONG_CYCLE_FACTORS"],
        "short_factors": values["MULTIGRID.SHORT_CYCLE_FACTORS"],
        "epoch_factor": values["MULTIGRID.EPOCH_FACTOR"],
        "norm_clips": values["MULTIGRID.BN_BASE_SIZE"],
        "evaluations": values["MULTIGRID.EVAL_FREQ"],
    }


def _loss(values: Values) -> str:
    if values["MASK.ENABLE"]:
        if values["MODEL.LOSS_FUNC"] != "multi_mse":
            raise ConfigError(
                f"MODEL.LOSS_FUNC = {values['MODEL.LOSS_FUNC']!r}: masked training is by multi_mse"
            )
        return "masked_hog" if values["MASK.PRED_HOG"] else "masked_pixels"
    return _choice(values, "MODEL.LOSS_FUNC", _LOSSES)


def _mask(values: Values) -> Section:
    if not values["MASK.ENABLE"]:
        return {}
    # The loader draws blocks, where it is asked for masks and the network does not draw its own all the same.
    of_loader = not values["MASK.MAE_RND_MASK"] and (
        values["AUG.GEN_MASK_LOADER"] or not values["MASK.MAE_ON"]
    )
    shape = "tube" if values["AUG.MASK_TUBE"] else "cube" if of_loader else "random"
    return {
        "ratio": values["AUG.MASK_RATIO"],
        "shape": shape,
        "window": values["AUG.MASK_WINDOW_SIZE"],
        "decoder_depth": values["MASK.DECODER_DEPTH"],
        "decoder_width": values["MASK.DECODER_EMBED_DIM"],
        "decoder_separate_positions": values["MASK.DECODER_SEP_POS_EMBED"],
        "normalized_pixels": values["MASK.NORM_PRED_PIXEL"],
        "first_frames_only": values["MASK.TIME_STRIDE_LOSS"],
    }


def _evaluation(values: Values, kind: str) -> Section:
    """Images and keyframes have one view, whatever TEST has."""
    one_view = kind in ("imagenet", "ava")
    clips = values["TEST.NUM_ENSEMBLE_VIEWS"]
    several = values["TEST.NUM_TEMPORAL_CLIPS"] or ([1, 3, 5, 7, 10] if clips == -1 else [])
    combine = _choice(values, "DATA.ENSEMBLE_METHOD", {"sum": "mean", "max": "max"})
    return {
        "every_epochs": values["TRAIN.EVAL_PERIOD"],
        "keyframes_every": VALIDATION_EVERY if kind == "ava" and not values["AVA.FULL_TEST_ON_VAL"] else 1,
        "validation_view": "center" if one_view else "random",
        "crop_px": values["DATA.TEST_CROP_SIZE"],
        "clips": 1 if one_view else several[-1] if several else clips,
        "crops": 1 if one_view else values["TEST.NUM_SPATIAL_CROPS"],
        "combine": combine,
        "offset_views": values["DATA.USE_OFFSET_SAMPLING"],
    }


def _run(values: Values) -> Section:
    return {
        "batch_size": values["TRAIN.BATCH_SIZE"] * values["NUM_SHARDS"],
        "seed": values["RNG_SEED"],
        "precision": "16-mixed" if values["TRAIN.MIXED_PRECISION"] else "32-true",
        "checkpoint_every_epochs": values["TRAIN.CHECKPOINT_PERIOD"],
        "loss_explosion_factor": values["TRAIN.KILL_LOSS_EXPLOSION_FACTOR"],
    }


def _log(values: Values) -> Section:
    """What is shown, in TensorBoard alone as there."""
    section: Section = {"every_steps": values["LOG_PERIOD"]}
    if not values["TENSORBOARD.ENABLE"]:
        return section
    layers = values["TENSORBOARD.MODEL_VIS.ENABLE"]
    shown = {
        "confusion": values["TENSORBOARD.CONFUSION_MATRIX.ENABLE"],
        "predictions": values["TENSORBOARD.HISTOGRAM.ENABLE"],
        "wrong_clips": values["TENSORBOARD.WRONG_PRED_VIS.ENABLE"],
        "weights": layers and values["TENSORBOARD.MODEL_VIS.MODEL_WEIGHTS"],
        "activations": layers and values["TENSORBOARD.MODEL_VIS.ACTIVATIONS"],
    }
    return {
        **section,
        "loggers": ["csv", "tensorboard"],
        "show": [name for name, is_shown in shown.items() if is_shown],
        "top_k": values["TENSORBOARD.HISTOGRAM.TOPK"],
        "parents": values["TENSORBOARD.CATEGORIES_PATH"],
    }


def _notes(values: Values, network: Architecture) -> list[str]:
    """What a reader should know, beside ignored keys."""
    notes = []
    if values["NUM_SHARDS"] > 1:
        notes.append(
            f"NUM_SHARDS = {values['NUM_SHARDS']}: the batch is that of all machines, and the learning rates "
            f"are times {_machines_of_rate(values)}"
        )
    per_gpu = values["TRAIN.BATCH_SIZE"] / max(values["NUM_GPUS"], 1)
    if (
        network.family not in _TRANSFORMERS
        and values["NUM_GPUS"] > 1
        and values["BN.NORM_TYPE"] == "batchnorm"
    ):
        notes.append(
            f"NUM_GPUS = {values['NUM_GPUS']}: batch norms have statistics over {per_gpu:g} clips there; "
            "with fewer processes, batch_norm.kind = 'sub' with splits keeps that"
        )
    if (values["TRAIN.CHECKPOINT_INFLATE"] or values["TRAIN.CHECKPOINT_IN_INIT"]) and not values[
        "TRAIN.CHECKPOINT_FILE_PATH"
    ]:
        notes.append(
            "TRAIN.CHECKPOINT_FILE_PATH is not given: name model.start_from, and model.inflate = true"
        )
    if values["TRAIN.CHECKPOINT_FILE_PATH"] and not values["TRAIN.CHECKPOINT_EPOCH_RESET"]:
        notes.append("TRAIN.CHECKPOINT_FILE_PATH: its weights are taken, not its epoch and its optimiser")
    if values["MODEL.DETACH_FINAL_FC"]:
        notes.append("MODEL.DETACH_FINAL_FC: frozen batch norms use their running statistics here")
    if values["AUG.ENABLE"] and "-inc0" in (values["AUG.AA_TYPE"] or ""):
        notes.append("AUG.AA_TYPE: inc0 counts as inc1 in PySlowFast, and so it does here")
    several = values["TEST.NUM_TEMPORAL_CLIPS"]
    if len(several) > 1 or values["TEST.NUM_ENSEMBLE_VIEWS"] == -1:
        notes.append("TEST.NUM_TEMPORAL_CLIPS: of several numbers of clips, the last one is evaluated")
    if values["MODEL.MODEL_NAME"] == "PTVX3D":
        notes.append(
            "MODEL.MODEL_NAME = 'PTVX3D': the shortcut of res2 has a batch norm here, as in PySlowFast"
        )
    if values["MIXUP.ENABLE"] and values["MODEL.ARCH"] == "slowfast":
        notes.append("MIXUP.ENABLE: both pathways are mixed here, only the slow one there")
    return notes
