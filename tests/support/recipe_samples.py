"""Recipes, and configurations of PySlowFast, of which mutants are made."""

from __future__ import annotations

from pathlib import Path

RECIPE = """# a recipe
base = "slowfast_tiny"
name = "mine"
[model]
network = "slowfast_tiny"
start_from = ""
[data]
kind = "synthetic"
clips_per_epoch = 16
render_heights_px = [120, 240]
[optimizer]
weight_decay = 0.05
clip_norm = "none"
[schedule]
epochs = 2
base_learning_rate = 1e-3
warmup_epochs = 0.1
[run]
batch_size = 4
seed = 3
stored_as = "float16"
"""


PYSLOWFAST = """# a configuration of PySlowFast
TRAIN: {DATASET: kinetics, BATCH_SIZE: 16}
DATA:
  NUM_FRAMES: 16
  SAMPLING_RATE: 4
  TRAIN_JITTER_SCALES_RELATIVE: [0.08, 1.0]
MVIT:
  PATCH_KERNEL: (3, 7, 7)
  PATCH_PADDING: (1, 3, 3)
  SEP_POS_EMBED: True
  DIM_MUL: [[1, 2.0], [3, 2.0], [14, 2.0]]
  HEAD_MUL: [[1, 2.0], [3, 2.0], [14, 2.0]]
  POOL_KVQ_KERNEL: [3, 3, 3]
  POOL_KV_STRIDE_ADAPTIVE: [1, 8, 8]
  POOL_Q_STRIDE: [[1, 1, 2, 2], [3, 1, 2, 2], [14, 1, 2, 2]]
MODEL: {ARCH: mvit, MODEL_NAME: MViT}
SOLVER:
  LR_POLICY: steps_with_relative_lrs
  STEPS: [0, 44, 88]
  LRS: [1, 1e-1, 0.01]
  MAX_EPOCH: 118
"""


def read_pyslowfast(path: Path) -> None:
    """Translate it, and write the recipe."""
    from twinpath.train.pyslowfast.translate import translate
    from twinpath.train.recipe import to_toml

    to_toml(translate(path).recipe)


def read_a_recipe(path: Path) -> None:
    """Read it, and write it again."""
    from twinpath.train.recipe import read_recipe, to_toml

    to_toml(read_recipe(str(path)))
