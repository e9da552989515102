"""Configurations of PySlowFast: how they are read, which network they are, and what their recipes are.

golden/rules/pyslowfast_configs.json tells of all public ones; scripts/translate_pyslowfast.py makes it of a
checkout. Here are those that differ most, with the keys alone that make them so.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from twinpath.errors import ConfigError
from twinpath.models.mvit import MViT
from twinpath.models.registry import ARCHITECTURES, architecture
from twinpath.models.resnet3d import Pathway
from twinpath.models.reversible import ReversibleMViT
from twinpath.models.shapes_only import shapes_only
from twinpath.models.slowfast import SlowFast
from twinpath.models.vit import ViT
from twinpath.models.x3d import X3D
from twinpath.train.loop.train import recipe_schedule
from twinpath.train.optimization.schedule import learning_rate
from twinpath.train.pyslowfast.keys import completed, config_keys
from twinpath.train.pyslowfast.networks import CLASS_DEFAULTS, find_network, structure_of
from twinpath.train.pyslowfast.translate import Translation, sections_of, translate
from twinpath.train.pyslowfast.yaml_file import read_yaml
from twinpath.train.recipe import SECTIONS, Recipe, recipe_of

RULES = Path(__file__).parents[2] / "golden" / "rules"
MODELS = RULES.parent / "models"
ROWS = {row["config"]: row for row in json.loads((RULES / "pyslowfast_configs.json").read_text())}

Keys = Mapping[str, Any]

SLOW = {"MODEL.ARCH": "slow", "MODEL.MODEL_NAME": "ResNet"}
SLOWFAST = {
    "DATA.NUM_FRAMES": 32,
    "DATA.SAMPLING_RATE": 2,
    "SLOWFAST.ALPHA": 4,
    "SLOWFAST.FUSION_KERNEL_SZ": 7,
    "RESNET.NUM_BLOCK_TEMP_KERNEL": "[[3, 3], [4, 4], [6, 6], [3, 3]]",
    "NONLOCAL.LOCATION": "[[[], []], [[], []], [[], []], [[], []]]",
    "NONLOCAL.GROUP": "[[1, 1], [1, 1], [1, 1], [1, 1]]",
}
R101 = {"RESNET.DEPTH": 101, "SLOWFAST.FUSION_KERNEL_SZ": 5}
NON_LOCAL = {"NONLOCAL.LOCATION": "[[[]], [[1, 3]], [[1, 3, 5]], [[]]]", "NONLOCAL.INSTANTIATION": "softmax"}
DETECTION = {
    "DETECTION.ENABLE": True,
    "TRAIN.DATASET": "ava",
    "MODEL.NUM_CLASSES": 80,
    "MODEL.LOSS_FUNC": "bce",
    "RESNET.SPATIAL_STRIDES": "[[1, 1], [2, 2], [2, 2], [1, 1]]",
    "RESNET.SPATIAL_DILATIONS": "[[1, 1], [1, 1], [1, 1], [2, 2]]",
}
X3D_L = {
    "MODEL.ARCH": "x3d",
    "MODEL.MODEL_NAME": "X3D",
    "X3D.WIDTH_FACTOR": 2,
    "X3D.DEPTH_FACTOR": 5.0,
    "X3D.BOTTLENECK_FACTOR": 2.25,
    "DATA.NUM_FRAMES": 16,
    "DATA.SAMPLING_RATE": 5,
    "DATA.TRAIN_CROP_SIZE": 312,
    "DATA.TRAIN_JITTER_SCALES": "[356, 446]",
    "RESNET.TRANS_FUNC": "x3d_transform",
}
DOUBLING = "[[1, 2.0], [3, 2.0], [14, 2.0]]"
MVIT = {
    "MODEL.ARCH": "mvit",
    "MODEL.MODEL_NAME": "MViT",
    "DATA.NUM_FRAMES": 16,
    "DATA.SAMPLING_RATE": 4,
    "MVIT.PATCH_PADDING": "(1, 3, 3)",
    "MVIT.DIM_MUL": DOUBLING,
    "MVIT.HEAD_MUL": DOUBLING,
    "MVIT.POOL_KVQ_KERNEL": "[3, 3, 3]",
    "MVIT.POOL_KV_STRIDE_ADAPTIVE": "[1, 8, 8]",
}
MVIT_V1 = {
    **MVIT,
    "MVIT.SEP_POS_EMBED": True,
    "MVIT.POOL_Q_STRIDE": "[[1, 1, 2, 2], [3, 1, 2, 2], [14, 1, 2, 2]]",
}
MVIT_V2 = {
    **MVIT,
    "MVIT.USE_ABS_POS": False,
    "MVIT.REL_POS_SPATIAL": True,
    "MVIT.REL_POS_TEMPORAL": True,
    "MVIT.RESIDUAL_POOLING": True,
    "MVIT.DIM_MUL_IN_ATT": True,
    "MVIT.POOL_Q_STRIDE": str([[i, 1, *([2, 2] if i in (1, 3, 14) else [1, 1])] for i in range(16)]),
}
IMAGE = {
    "MVIT.PATCH_2D": True,
    "MVIT.PATCH_KERNEL": "[7, 7]",
    "MVIT.PATCH_STRIDE": "[4, 4]",
    "MVIT.PATCH_PADDING": "[3, 3]",
    "MVIT.POOL_KVQ_KERNEL": "[1, 3, 3]",
    "MVIT.POOL_KV_STRIDE_ADAPTIVE": "[1, 4, 4]",
    "MVIT.SEP_POS_EMBED": False,
    "DATA.NUM_FRAMES": 1,
    "TRAIN.DATASET": "imagenet",
    "MODEL.NUM_CLASSES": 1000,
}
VIT = {
    "MODEL.ARCH": "mvit",
    "MODEL.MODEL_NAME": "MViT",
    "DATA.NUM_FRAMES": 16,
    "DATA.SAMPLING_RATE": 4,
    "MVIT.PATCH_KERNEL": "(2, 16, 16)",
    "MVIT.PATCH_STRIDE": "(2, 16, 16)",
    "MVIT.PATCH_PADDING": "(0, 0, 0)",
    "MVIT.EMBED_DIM": 768,
    "MVIT.NUM_HEADS": 12,
    "MVIT.DEPTH": 12,
    "MVIT.SEP_POS_EMBED": True,
    "MVIT.USE_MEAN_POOLING": True,
}
REVERSIBLE = {
    **MVIT_V1,
    "MVIT.CLS_EMBED_ON": False,
    "MVIT.REV.ENABLE": True,
    "MVIT.REV.BUFFER_LAYERS": "[1, 3, 14]",
}
MAE = {
    **VIT,
    "MODEL.ARCH": "maskmvit",
    "MODEL.MODEL_NAME": "MaskMViT",
    "MODEL.LOSS_FUNC": "multi_mse",
    "MVIT.USE_MEAN_POOLING": False,
    "MASK.ENABLE": True,
    "MASK.MAE_ON": True,
    "MASK.MAE_RND_MASK": True,
    "MASK.DECODER_DEPTH": 4,
    "AUG.MASK_RATIO": 0.9,
}
CONFIGS: dict[str, Keys] = {
    "configs/Kinetics/SLOWFAST_8x8_R50": SLOWFAST,
    "configs/Kinetics/SLOWFAST_4x16_R50": {
        **SLOWFAST,
        "SLOWFAST.ALPHA": 8,
        "SLOWFAST.FUSION_KERNEL_SZ": 5,
    },
    "configs/Kinetics/c2/SLOWFAST_8x8_R101_50_50": {**SLOWFAST, **R101},
    "configs/Kinetics/c2/SLOWFAST_8x8_R101_101_101": {
        **SLOWFAST,
        **R101,
        "RESNET.NUM_BLOCK_TEMP_KERNEL": "[[3, 3], [4, 4], [23, 23], [3, 3]]",
    },
    "configs/AVA/SLOWFAST_32x2_R50_SHORT": {**SLOWFAST, **DETECTION},
    "configs/Kinetics/SLOW_4x16_R50": {**SLOW, "DATA.NUM_FRAMES": 4, "DATA.SAMPLING_RATE": 16},
    "configs/Kinetics/C2D_8x8_R50": {**SLOW, "MODEL.ARCH": "c2d"},
    "configs/Kinetics/I3D_8x8_R50": {**SLOW, "MODEL.ARCH": "i3d"},
    "configs/Kinetics/C2D_NLN_8x8_R50": {**SLOW, **NON_LOCAL, "MODEL.ARCH": "c2d"},
    "configs/Kinetics/pytorchvideo/CSN_32x2_R101": {
        "MODEL.ARCH": "csn",
        "MODEL.MODEL_NAME": "PTVCSN",
        "RESNET.DEPTH": 101,
        "DATA.NUM_FRAMES": 32,
        "DATA.SAMPLING_RATE": 2,
    },
    "configs/Kinetics/pytorchvideo/R2PLUS1D_16x4_R50": {
        "MODEL.MODEL_NAME": "PTVR2plus1D",
        "DATA.NUM_FRAMES": 16,
        "DATA.SAMPLING_RATE": 4,
    },
    "configs/Kinetics/X3D_L": X3D_L,
    "configs/Kinetics/MVIT_B_16x4_CONV": MVIT_V1,
    "configs/Kinetics/MVITv2_S_16x4": MVIT_V2,
    "configs/ImageNet/MVIT_B_16_CONV": {**MVIT_V1, **IMAGE},
    "configs/ImageNet/MVITv2_S": {
        **MVIT_V2,
        **IMAGE,
        "MVIT.REL_POS_TEMPORAL": False,
        "MVIT.CLS_EMBED_ON": False,
        "MVIT.POOL_KV_STRIDE_ADAPTIVE": None,
        "MVIT.POOL_KV_STRIDE": str([[i, 1, *[4 if i < 1 else 2 if i < 3 else 1] * 2] for i in range(16)]),
    },
    "configs/ImageNet/REV_MVIT_B_16_CONV": {
        **REVERSIBLE,
        **IMAGE,
        "MVIT.REV.PRE_Q_FUSION": "concat_linear_2",
    },
    "configs/masked_ssl/k400_VIT_B_16x4_FT": VIT,
    "configs/masked_ssl/k400_MVITv2_S_16x4_FT": {
        **MVIT_V2,
        "MVIT.DIM_MUL_IN_ATT": False,
        "MVIT.USE_MEAN_POOLING": True,
    },
    "configs/masked_ssl/k400_VIT_B_16x4_MAE_PT": MAE,
}  # fmt: skip


def written(folder: Path, keys: Keys, name: str = "config.yaml") -> Path:
    """A YAML file of flat keys."""
    tree: dict[str, Any] = {}
    for key, value in keys.items():
        *sections, last = key.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[last] = value
    (folder / name).write_text("\n".join(_lines(tree, 0)) + "\n")
    return folder / name


def _lines(tree: Keys, depth: int) -> list[str]:
    lines: list[str] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += [f"{'  ' * depth}{key}:", *_lines(value, depth + 1)]
        else:
            lines.append(f"{'  ' * depth}{key}: {value}")
    return lines


def translated(folder: Path, keys: Keys, *overrides: str) -> Translation:
    return translate(written(folder, keys), overrides)


def num_parameters(recipe: Recipe) -> int:
    network = architecture(recipe.model.network)
    assert recipe.clip.frames is not None
    with shapes_only():
        built = network.build(
            num_classes=recipe.model.num_classes, num_frames=recipe.clip.frames, crop=recipe.clip.crop_px
        )
    return sum(parameter.numel() for parameter in built.parameters())


# Files


def test_texts_are_literals_of_python(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "A:\n  B: 1e-4\n  C: (2, 16, 16)\n  D: None\n  E: rand-m7\n  F:\n  G: [1e-3, x]\nH: 'True'\n"
    )
    numbers = {"A.B": 1e-4, "A.C": (2, 16, 16), "A.G": [1e-3, "x"], "H": True}
    assert read_yaml(path).values == {**numbers, "A.D": None, "A.E": "rand-m7", "A.F": None}


def test_of_doubled_keys_the_last_counts_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("A:\n  B: 1\n  C: 3\n  B: 2\nA:\n  B: 4\n")
    read = read_yaml(path)
    assert read.values == {"A.B": 4}  # a section replaces the first one as a whole
    assert [note.partition(";")[0] for note in read.notes] == [
        "c.yaml, line 4: A.B stands twice",
        "c.yaml, line 5: A stands twice",
    ]


def test_a_file_is_based_on_others(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("A:\n  B: 1\n  C: 2\n")
    (tmp_path / "c.yaml").write_text("_BASE_: base.yaml\nA:\n  B: 3\n")
    assert read_yaml(tmp_path / "c.yaml").values == {"A.B": 3, "A.C": 2}
    (tmp_path / "base.yaml").write_text("_BASE_: [c.yaml]\n")
    with pytest.raises(ConfigError, match="based on itself"):
        read_yaml(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"A:\n B: 1\n  C: 2\n", "line 3: not valid YAML"),
        (b"A: [1, 2", "not valid YAML"),
        (b"\xff", "not UTF-8 text"),
        (b"A: " + b"[" * 5000, "not valid YAML"),
        (b"A: &x 1\nB: *x\n", "aliases"),
        (b"A: !!python/object/apply:os.system ['true']\n", "A: no value of YAML"),
        (b"- 1\n", "it has no keys"),
        (b"", "it has no keys"),
        (b"? [1]\n: 2\n", "a key is a word"),
        (b"A: 1\nA.B.C: \x00", "not valid YAML"),
        (b"_BASE_: 3\n", "_BASE_"),
        (b"_BASE_: nowhere.yaml\n", "nowhere.yaml: No such file"),
    ],
)
def test_files_that_are_no_configuration_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "c.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        read_yaml(tmp_path / "c.yaml")
    assert str(tmp_path) in str(caught.value)


# Keys


def test_every_key_becomes_something_that_a_recipe_has() -> None:
    keys = config_keys()
    assert len(keys) > 330
    for key in keys.values():
        assert key.fate in ("recipe", "network", "ignored", "refused")
        assert key.becomes_or_why
        for name in key.becomes_or_why.split(", ") if key.fate == "recipe" else ():
            section, _, field = name.partition(".")
            assert field in SECTIONS[section].model_fields, (key.name, name)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"SOLVER.BASE_LRR": 0.1}, "unknown key SOLVER.BASE_LRR; did you mean SOLVER.BASE_LR?"),
        ({"SOLVR": 3}, "unknown key SOLVR; did you mean "),
        ({"SOLVER": 3}, "SOLVER is a section"),
        ({"SOLVER.MAX_EPOCH": "many"}, "SOLVER.MAX_EPOCH = 'many': it is of type int"),
        ({"AUG.ENABLE": 1}, "AUG.ENABLE = 1: it is of type bool"),
        ({"SOLVER.BASE_LR": float("nan")}, "SOLVER.BASE_LR: nan is no finite number"),
        ({"DATA.MEAN": 0.45}, "DATA.MEAN = 0.45: it is of type list"),
    ],
)
def test_a_key_or_a_type_that_is_wrong_is_named(keys: Keys, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        completed(keys, "c.yaml")


def test_values_take_the_type_of_their_defaults() -> None:
    values = completed(
        {"SOLVER.BASE_LR": 1, "MVIT.PATCH_KERNEL": (3, 7, 7), "AUG": None, "TASK": 3}, "c.yaml"
    )
    assert type(values["SOLVER.BASE_LR"]) is float
    assert values["MVIT.PATCH_KERNEL"] == [3, 7, 7]
    assert values["TASK"] == "3"
    assert completed({"AUG.COLOR_JITTER": None, "MVIT.DIM_MUL": None}, "c.yaml")["MVIT.DIM_MUL"] == []
    with pytest.raises(ConfigError, match=r"SOLVER\.BASE_LR = None: it is of type float"):
        completed({"SOLVER.BASE_LR": None}, "c.yaml")


# Networks


@pytest.mark.parametrize("config", CONFIGS)
def test_a_configuration_is_the_network_of_the_reference(config: str, tmp_path: Path) -> None:
    recipe = translated(tmp_path, CONFIGS[config]).recipe
    row = ROWS[config]
    assert (recipe.model.network, num_parameters(recipe)) == (row["network"], row["parameters"])


def test_the_table_of_public_configurations_has_the_measured_parameters() -> None:
    measured = [json.loads(path.read_text()) for path in MODELS.glob("psf_*.json")]
    assert len(measured) > 30
    for golden in measured:
        row = ROWS[golden["source"].partition(" ")[2].removesuffix(".yaml")]
        frames = golden["input"]["frames"]
        if frames == architecture(row["network"]).num_frames or not row["network"].startswith("mvit"):
            assert row["parameters"] == golden["num_params"], row["config"]
    assert sum(row["status"] == "translated" for row in ROWS.values()) == 97
    assert all(row["network"] in ARCHITECTURES for row in ROWS.values() if row["status"] == "translated")
    assert all(row["reason"] for row in ROWS.values() if row["status"] == "refused")


@pytest.mark.parametrize(
    ("family", "built_by"),
    [
        ("resnet3d", Pathway), ("slowfast", SlowFast), ("x3d", X3D), ("mvit", MViT), ("vit", ViT),
        ("reversible", ReversibleMViT),
    ],
)  # fmt: skip
def test_what_the_registry_leaves_out_is_what_the_classes_take(family: str, built_by: type) -> None:
    free = {"num_classes", "num_frames", "crop", "dropout", "drop_path", "head_config", "lateral_channels"}
    parameters = inspect.signature(built_by).parameters
    taken = {name: p.default for name, p in parameters.items() if name not in free}
    assert {k: list(v) if isinstance(v, tuple) else v for k, v in taken.items()} == {
        k: list(v) if isinstance(v, tuple) else v for k, v in CLASS_DEFAULTS[family].items()
    }


def test_structures_tell_networks_apart() -> None:
    """Those of one structure differ in their clips alone."""
    seen: dict[str, str] = {}
    for network in ARCHITECTURES.values():
        clip = (network.num_frames, network.sampling_rate)
        same = seen.setdefault(f"{network.family} {structure_of(network)} {clip}", network.name)
        assert network.name.removeprefix("efficient_") == same or network.family in ("resnet18", "s3d"), same


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({**SLOWFAST, **R101, "RESNET.DEPTH": 18}, "differs in blocks"),
        (
            {**SLOWFAST, "SLOWFAST.BETA_INV": 4},
            "nearest is slowfast_r50_8x8, which differs in beta_inv 4, there 8",
        ),
        ({**VIT, "MVIT.DEPTH": 32, "MVIT.EMBED_DIM": 1280, "MVIT.NUM_HEADS": 16}, "nearest is vit_l_16x4"),
        ({**REVERSIBLE, "MVIT.CLS_EMBED_ON": True}, "reversible networks have no class token"),
        ({**SLOW, "MODEL.MODEL_NAME": "ContrastiveModel"}, "contrastive pre-training is not built"),
        (
            {**SLOW, "CONTRASTIVE.TYPE": "moco"},
            "CONTRASTIVE.TYPE = 'moco': contrastive pre-training is not built",
        ),
        ({**SLOW, "MODEL.MODEL_NAME": "NoModel"}, "MODEL.MODEL_NAME = 'NoModel'"),
        ({**SLOW, "DATA.LOADER_CHUNK_SIZE": 8}, "DATA.LOADER_CHUNK_SIZE = 8: lists are read whole"),
        ({**SLOW, "AUG.ENABLE": True, "AUG.RE_COUNT": 2}, "AUG.RE_COUNT = 2"),
        ({**SLOW, "DATA.IN22K_TRAINVAL": True}, "DATA.IN22K_TRAINVAL"),
        ({**SLOW, "TRAIN.DATASET": "movies"}, "TRAIN.DATASET = 'movies': it is one of"),
        ({**SLOW, "SOLVER.LR_POLICY": "linear"}, "SOLVER.LR_POLICY = 'linear': it is one of cosine"),
        ({**SLOW, "AUG.ENABLE": True, "AUG.AA_TYPE": "augmix-m5"}, "only RandAugment"),
        ({**SLOW, "RESNET.NUM_BLOCK_TEMP_KERNEL": "[3, 4]"}, "a list for each of four stages"),
        ({**SLOWFAST, "MULTIGRID.LONG_CYCLE": True}, "MULTIGRID.LONG_CYCLE: it needs SOLVER.LR_POLICY"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_reason(keys: Keys, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        translated(tmp_path, keys)
    assert str(caught.value).startswith(str(tmp_path / "config.yaml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("config", ["configs/Kinetics/C2D_NLN_8x8_R50", "configs/ImageNet/MVITv2_S"])
def test_lists_of_another_shape_are_errors_of_one_line(config: str, tmp_path: Path) -> None:
    steps = {"SOLVER.LR_POLICY": "steps_with_relative_lrs", "SOLVER.STEPS": "[0]", "SOLVER.LRS": "[1]"}
    colors = {"DATA.SSL_COLOR_JITTER": True, "AVA.FRAME_LIST_DIR": "lists"}
    read = read_yaml(written(tmp_path, {**CONFIGS[config], **steps, **colors}))
    messages = []
    for key in (key.name for key in config_keys().values() if isinstance(key.default, list | tuple)):
        for value in ([1], [[1, "x"]], [[[1]]]):
            values = completed({**read.values, key: value}, "c.yaml")
            try:
                recipe_of({"name": "x", **sections_of(values, find_network(values))}, origin="c.yaml")
            except ConfigError as error:
                messages.append(str(error))
    assert len(messages) > 20
    assert not any("\n" in message for message in messages)


# Recipes


@pytest.mark.parametrize(
    "golden", json.loads((RULES / "learning_rates.json").read_text()), ids=lambda golden: golden["config"]
)
def test_the_learning_rate_is_that_of_the_reference(golden: Any, tmp_path: Path) -> None:
    given = golden["given"]
    keys = {
        "SOLVER.LR_POLICY": given["policy"],
        "SOLVER.BASE_LR": given["base_lr"],
        "SOLVER.COSINE_END_LR": given["end_lr"],
        "SOLVER.MAX_EPOCH": given["max_epoch"],
        "SOLVER.WARMUP_EPOCHS": given["warmup_epochs"],
        "SOLVER.WARMUP_START_LR": given["warmup_start_lr"],
        "SOLVER.COSINE_AFTER_WARMUP": given["cosine_after_warmup"],
        "SOLVER.STEPS": given["steps"],
        "SOLVER.LRS": given["lrs"],
    }
    schedule = translated(tmp_path, {**SLOW, **keys}).recipe.schedule
    for epoch, expected in golden["epoch_lr"]:
        assert learning_rate(schedule, epoch) == pytest.approx(expected, rel=1e-9)


def test_all_of_a_recipe(tmp_path: Path) -> None:
    keys = {
        **MVIT_V2,
        "TRAIN.BATCH_SIZE": 16,
        "AUG.ENABLE": True,
        "AUG.AA_TYPE": "rand-m7-n4-mstd0.5-inc0",
        "AUG.NUM_SAMPLE": 2,
        "AUG.RE_MODE": "rand",
        "MIXUP.ENABLE": True,
        "MODEL.LOSS_FUNC": "soft_cross_entropy",
        "SOLVER.OPTIMIZING_METHOD": "mt_adamw",
        "SOLVER.BASE_LR": "1e-4",
        "SOLVER.BASE_LR_SCALE_NUM_SHARDS": True,
        "SOLVER.CLIP_GRAD_L2NORM": 1.0,
        "SOLVER.ZERO_WD_1D_PARAM": True,
        "SOLVER.LAYER_DECAY": 0.75,
        "MVIT.DROPPATH_RATE": 0.2,
        "DATA.TRAIN_JITTER_SCALES_RELATIVE": "[0.08, 1.0]",
        "DATA.PATH_TO_DATA_DIR": "/data/k400",
        "DATA.PATH_LABEL_SEPARATOR": '","',
        "DATA_LOADER.NUM_WORKERS": 2,
        "PREFETCH.NUM_LOADERS": 3,
        "NUM_SHARDS": 1,
    }
    translation = translated(
        tmp_path, keys, "NUM_SHARDS", "4", "SOLVER.WEIGHT_DECAY", "5e-2", "MVIT.NORM", "layernorm"
    )
    recipe = translation.recipe
    assert recipe.run.batch_size == 64
    scaled = recipe_schedule(recipe).schedule  # by machines, of which the batch is
    assert (scaled.base_learning_rate, scaled.warmup_start_learning_rate) == pytest.approx((4e-4, 0.04))
    assert recipe.augmentation.rand_augment == "m7-n4-mstd0.5-inc1"
    assert (recipe.augmentation.erasing, recipe.augmentation.erasing_mode) == (0.25, "color")
    assert (recipe.mix.mixup_alpha, recipe.mix.cutmix_alpha, recipe.mix.label_smoothing) == (0.8, 1.0, 0.1)
    assert (recipe.optimizer.name, recipe.optimizer.decay_1d, recipe.optimizer.clip_norm) == (
        "adamw",
        False,
        1.0,
    )
    assert (recipe.optimizer.weight_decay, recipe.optimizer.layer_decay) == (0.05, 0.75)
    assert (recipe.clip.area, recipe.clip.repeats) == ((0.08, 1.0), 2)
    assert recipe.model.drop_path == 0.2
    assert recipe.data.train == ("/data/k400/train.csv",)
    assert recipe.data.separator == ","
    assert recipe.evaluation.validation_view == "random"
    notes = "\n".join(translation.notes)
    assert "NUM_SHARDS = 4: the batch is that of all machines, and the learning rates are times 4" in notes
    assert "inc0 counts as inc1" in notes
    assert "DATA_LOADER.NUM_WORKERS, PREFETCH.NUM_LOADERS: ignored, workers follow the machine" in notes


def test_detection_charades_and_masked_training_have_their_own(tmp_path: Path) -> None:
    ava = translated(tmp_path, {**SLOWFAST, **DETECTION, "AVA.ANNOTATION_DIR": "notes"}).recipe
    assert (ava.data.kind, ava.loss.kind, ava.model.roi_aligned) == ("ava", "binary", True)
    assert ava.data.boxes_train == ("notes/ava_train_v2.2.csv",)
    assert (ava.evaluation.clips, ava.evaluation.crops, ava.clip.inverse_uniform) == (1, 1, True)
    assert ava.evaluation.keyframes_every == 4
    charades = {
        "TRAIN.DATASET": "charades",
        "MODEL.LOSS_FUNC": "bce_logit",
        "DATA.ENSEMBLE_METHOD": "max",
        "DATA.REVERSE_INPUT_CHANNEL": True,
        "BN.NORM_TYPE": "sync_batchnorm",
        "BN.NUM_SYNC_DEVICES": 4,
        "MULTIGRID.SHORT_CYCLE": True,
    }
    many = translated(tmp_path, {**SLOWFAST, **charades}).recipe
    assert (many.data.multi_label, many.loss.kind, many.evaluation.combine) == (True, "binary", "max")
    assert (many.batch_norm.kind, many.batch_norm.devices, many.clip.bgr) == ("sync", 4, True)
    assert many.multigrid.short_cycle
    masked = translated(tmp_path, MAE).recipe
    assert (masked.data.kind, masked.loss.kind, masked.mask.ratio) == ("unlabelled", "masked_pixels", 0.9)
    assert (masked.mask.shape, masked.mask.decoder_depth) == ("random", 4)
    blocks = {"MASK.MAE_RND_MASK": False, "AUG.GEN_MASK_LOADER": True, "AUG.MASK_WINDOW_SIZE": "[8, 7, 7]"}
    assert translated(tmp_path, {**MAE, **blocks}).recipe.mask.shape == "cube"
    assert translated(tmp_path, {**MAE, "AUG.MASK_TUBE": True}).recipe.mask.shape == "tube"


def test_a_refused_configuration_can_be_mended_by_settings(tmp_path: Path) -> None:
    keys = {**REVERSIBLE, "MVIT.CLS_EMBED_ON": True, "MVIT.QKV_BIAS": False}
    recipe = translated(tmp_path, keys, "MVIT.CLS_EMBED_ON", "False").recipe
    assert recipe.model.network == "rev_mvit_b_16x4"
    with pytest.raises(ConfigError, match=r"'MVIT\.QKV_BIAS' has no value"):
        translated(tmp_path, keys, "MVIT.QKV_BIAS")


def test_what_tensorboard_shows_is_in_the_log(tmp_path: Path) -> None:
    keys = {
        **MVIT_V2,
        "TENSORBOARD.ENABLE": True,
        "TENSORBOARD.CONFUSION_MATRIX.ENABLE": True,
        "TENSORBOARD.CONFUSION_MATRIX.SUBSET_PATH": "few.txt",
        "TENSORBOARD.CATEGORIES_PATH": "parents.json",
        "TENSORBOARD.MODEL_VIS.ENABLE": True,
        "TENSORBOARD.MODEL_VIS.MODEL_WEIGHTS": True,
        "TRAIN.KILL_LOSS_EXPLOSION_FACTOR": 2.5,
        "LOG_PERIOD": 50,
    }
    translation = translated(tmp_path, keys)
    log = translation.recipe.log
    assert (log.loggers, log.show) == (("csv", "tensorboard"), ("confusion", "weights"))
    assert (log.parents, log.every_steps, log.top_k) == ("parents.json", 50, 10)
    assert translation.recipe.run.loss_explosion_factor == 2.5
    assert any("SUBSET_PATH: ignored, log.classes" in note for note in translation.notes)
