"""The published recipes: each has the network, the schedule and the changes of its configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twinpath.models.registry import architecture
from twinpath.models.shapes_only import shapes_only
from twinpath.train.recipe import Recipe, built_in_recipes, read_recipe

GOLDEN = Path(__file__).parents[2] / "golden"
DRAWN = {"slowfast_tiny", "slowfast_tiny_det", "slowfast_tiny_painted"}
# Parameters of PySlowFast's networks: of the files in golden/models, for their numbers of classes.
MEASURED = {
    "slowfast_r50_8x8_kinetics": "psf_Kinetics_SLOWFAST_8x8_R50",
    "slowfast_r50_4x16_kinetics": "psf_Kinetics_SLOWFAST_4x16_R50",
    "slowfast_r50_8x8_kinetics_multigrid": "psf_Kinetics_SLOWFAST_8x8_R50_stepwise_multigrid",
    "slow_r50_8x8_kinetics": "psf_Kinetics_SLOW_8x8_R50",
    "slow_r50_4x16_kinetics": "psf_Kinetics_SLOW_4x16_R50",
    "c2d_r50_8x8_kinetics_from_imagenet": "psf_Kinetics_C2D_8x8_R50",
    "c2d_nln_r50_8x8_kinetics": "psf_Kinetics_C2D_NLN_8x8_R50",
    "i3d_r50_8x8_kinetics": "psf_Kinetics_I3D_8x8_R50",
    "i3d_nln_r50_8x8_kinetics": "psf_Kinetics_I3D_NLN_8x8_R50",
    "slow_nln_r50_4x16_kinetics": "psf_Kinetics_SLOW_NLN_4x16_R50",
    "slowfast_nln_r50_8x8_kinetics": "psf_Kinetics_SLOWFAST_NLN_8x8_R50",
    "x3d_xs_kinetics": "psf_Kinetics_X3D_XS",
    "x3d_s_kinetics": "psf_Kinetics_X3D_S",
    "x3d_m_kinetics": "psf_Kinetics_X3D_M",
    "x3d_l_kinetics": "psf_Kinetics_X3D_L",
    "mvit_v1_b_16x4_kinetics": "psf_Kinetics_MVIT_B_16x4_CONV",
    "mvit_v1_b_32x3_kinetics": "ptv_mvit_base_32x3",
    "mvit_v2_s_16x4_kinetics": "psf_Kinetics_MVITv2_S_16x4",
    "mvit_v2_b_32x3_kinetics": "psf_Kinetics_MVITv2_B_32x3",
    "slowfast_r50_8x8_ava": "psf_AVA_SLOWFAST_32x2_R50_SHORT",
    "slow_r50_4x16_ava": "psf_AVA_SLOW_8x8_R50_SHORT",
    "resnet50_imagenet": "psf_ImageNet_RES_R50",
    "mvit_v1_b_imagenet": "psf_ImageNet_MVIT_B_16_CONV",
    "mvit_v2_t_imagenet": "psf_ImageNet_MVITv2_T",
    "vit_b_16x4_kinetics": "psf_masked_ssl_k400_VIT_B_16x4_FT",
    "mvit_v2_s_16x4_maskfeat_kinetics": "psf_masked_ssl_k400_MVITv2_S_16x4_FT",
}
# Published settings: (network, batch, epochs, rate, warm-up, decay, crop) of the families.
PUBLISHED = {
    "slowfast_r50_8x8_kinetics": ("slowfast_r50_8x8", 64, 196, 0.1, 34, 1e-4, 224),
    "slowfast_r50_8x8_kinetics_multigrid": ("slowfast_r50_8x8", 64, 239, 0.1, 34, 1e-4, 224),
    "i3d_r50_8x8_kinetics_from_imagenet": ("i3d_r50_8x8", 64, 118, 0.01, 0, 1e-4, 224),
    "x3d_m_kinetics": ("x3d_m", 128, 300, 0.1, 35, 5e-5, 224),
    "x3d_l_kinetics": ("x3d_l", 64, 256, 0.05, 35, 5e-5, 312),
    "mvit_v2_b_32x3_kinetics": ("mvit_v2_b_32x3", 16, 200, 1e-4, 30, 0.05, 224),
    "mvit_v2_b_32x3_something": ("mvit_v2_b_32x3", 16, 100, 0.0015, 3, 1e-4, 224),
    "mvit_v2_l_40x3_something": ("mvit_v2_l_40x3", 8, 40, 0.00125, 3, 1e-4, 312),
    "slowfast_r50_16x8_something": ("slowfast_r50_16x8", 16, 22, 0.03, 0.19, 1e-6, 224),
    "slowfast_r50_16x8_charades_multigrid": ("slowfast_r50_16x8", 16, 57, 0.0375, 4, 1e-4, 224),
    "slowfast_r50_8x8_ava": ("slowfast_r50_8x8_det", 64, 20, 0.1, 5, 1e-7, 224),
    "mvit_v1_b_imagenet": ("mvit_v1_b", 256, 300, 2.5e-4, 70, 0.05, 224),
    "vit_b_16x4_mae": ("vit_b_16x4", 64, 200, 1e-4, 60, 0.05, 224),
    "vit_b_16x4_kinetics": ("vit_b_16x4", 16, 75, 6e-4, 5, 0.05, 224),
    "mvit_v2_s_16x4_maskfeat_kinetics": ("mvit_v2_s_16x4_maskfeat", 16, 100, 6e-4, 20, 0.05, 224),
}


def num_parameters(recipe: Recipe) -> int:
    options: dict[str, Any] = {"num_classes": recipe.model.num_classes} if recipe.model.num_classes else {}
    with shapes_only():
        network = architecture(recipe.model.network).build(**options)
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", MEASURED)
def test_the_network_has_the_parameters_of_the_reference(name: str) -> None:
    measured = json.loads((GOLDEN / "models" / f"{MEASURED[name]}.json").read_text())
    assert num_parameters(read_recipe(name)) == measured["num_params"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_has_the_published_settings(name: str) -> None:
    recipe = read_recipe(name)
    assert PUBLISHED[name] == (
        recipe.model.network,
        recipe.run.batch_size,
        recipe.schedule.epochs,
        recipe.schedule.base_learning_rate,
        recipe.schedule.warmup_epochs,
        recipe.optimizer.weight_decay,
        recipe.clip.crop_px,
    )


def test_what_a_recipe_does_not_change_is_that_of_its_base() -> None:
    something = read_recipe("mvit_v2_l_40x3_something")
    assert something.clip.area is None
    assert not something.clip.flip
    assert something.mix.label_smoothing == 0.1
    assert something.optimizer.clip_norm == 2.0
    assert something.schedule.cosine_after_warmup
    charades = read_recipe("slowfast_r50_16x8_charades_multigrid")
    assert charades.batch_norm.precise_batches == 200
    assert (charades.batch_norm.kind, charades.batch_norm.devices) == ("sync", 4)
    assert charades.evaluation.combine == "max"


def test_every_recipe_says_how_it_is_run_and_is_small() -> None:
    folder = Path(__file__).parents[3] / "src/twinpath/train/recipes"
    for name in set(built_in_recipes()) - DRAWN:
        lines = (folder / f"{name}.toml").read_text("utf-8").splitlines()
        assert lines[0].startswith(f"# twinpath train {name} ")
        assert max(map(len, lines)) <= 120
        assert read_recipe(name).name == name
