"""Recipes are checked before anything starts, and a run can be repeated from what it wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinpath.errors import ConfigError
from twinpath.train.recipe import SETTINGS, built_in_recipes, changed, check_folder, read_recipe, to_toml

TEXT = to_toml(read_recipe("slowfast_tiny"))
KINETICS = """
[model]
network = "slowfast_r50_8x8"
[data]
kind = "kinetics"
[schedule]
epochs = 20
base_learning_rate = 0.1
[run]
batch_size = 64
"""


def write(folder: Path, text: str, name: str = "mine.toml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize("name", built_in_recipes())
def test_what_a_run_writes_of_any_recipe_reads_back_equal(tmp_path: Path, name: str) -> None:
    recipe = read_recipe(name)
    assert read_recipe(write(tmp_path, to_toml(recipe))) == recipe


@pytest.mark.parametrize(
    ("line", "key", "nearest"),
    [
        ("learning_rat = 0.1", "schedule.learning_rat", "schedule.base_learning_rate"),
        ("batch_size = 8", "schedule.batch_size", "run.batch_size"),  # in the wrong section
        ("[scheduel]\nepochs = 3", "scheduel", "schedule"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one(
    tmp_path: Path, line: str, key: str, nearest: str
) -> None:
    text = TEXT.replace("[schedule]", f"[schedule]\n{line}" if line[0] != "[" else f"{line}\n[schedule]")
    with pytest.raises(ConfigError, match=f"mine.toml: unknown key '{key}'; did you mean '{nearest}'"):
        read_recipe(write(tmp_path, text))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("schedule.epochs=0", "schedule.epochs: .*greater than 0"),
        ("schedule.epochs='3'", "schedule.epochs: .*integer"),
        ("schedule.epochs=true", "schedule.epochs: .*integer"),
        ("base_learning_rate=-1.0", "base_learning_rate"),
        ("base_learning_rate=nan", "base_learning_rate"),
        ("base_learning_rate=inf", "base_learning_rate"),
        ("precision=fp8", "run.precision"),
        ("seed=" + "9" * 30, "run.seed"),
        ("name=../x", "name: "),
        ("network=slowfast_tny", "model.network: .*did you mean slowfast_tiny"),
        ("render_heights_px=[96, 0]", r"data.render_heights_px.1: "),
        ("schedule.epoch=3", "unknown key 'schedule.epoch'; did you mean 'schedule.epochs'"),
        ("epoch=3", "unknown key 'epoch'; did you mean 'schedule.epochs'"),
        ("crop_px=64", "clip.crop_px or evaluation.crop_px"),
        ("model=slowfast_tiny", "'model' is a section; its keys are network, "),
        ("epochs", "'epochs' is no setting; write section.key=value"),
        ("render_heights_px=[96", "no value of TOML"),
        ("epochs=1\nname='x'", "no value of TOML|schedule.epochs"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named_with_its_key(setting: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_recipe("slowfast_tiny", [setting])


def test_settings_replace_those_of_the_file() -> None:
    settings = [
        "epochs=3",
        "run.batch_size = 8",
        "precision=32-true",
        "render_heights_px=96",
        "clip_norm=none",
    ]
    recipe = read_recipe("slowfast_tiny", settings)
    assert (recipe.schedule.epochs, recipe.run.batch_size, recipe.run.precision) == (3, 8, "32-true")
    assert recipe.data.render_heights_px == (96,)
    assert recipe.optimizer.clip_norm is None
    assert changed(read_recipe("slowfast_tiny"), settings) == recipe


def test_a_recipe_changes_another_one(tmp_path: Path) -> None:
    write(tmp_path, 'base = "slowfast_tiny"\n[schedule]\nepochs = 3\n[run]\nseed = 1', "first.toml")
    recipe = read_recipe(write(tmp_path, 'base = "first.toml"\n[run]\nseed = 2', "second.toml"))
    assert recipe.name == "second"  # that of the file
    assert (recipe.schedule.epochs, recipe.run.seed, recipe.run.batch_size) == (3, 2, 32)


def test_bases_that_are_not_there_or_go_round_are_named(tmp_path: Path) -> None:
    first = write(tmp_path, 'base = "second.toml"', "first.toml")
    with pytest.raises(ConfigError, match=r"no recipe '.*second\.toml'"):
        read_recipe(first)
    write(tmp_path, 'base = "first.toml"', "second.toml")
    with pytest.raises(ConfigError, match=r"second\.toml: base: .*first\.toml is itself based on this"):
        read_recipe(first)
    with pytest.raises(ConfigError, match="base: it is the name of a recipe"):
        read_recipe(write(tmp_path, "base = 3"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("policy=steps", "schedule.steps: the policy needs"),
        ("policy=steps steps=[0,5,3] factors=[1,0.1,0.01]", "schedule.steps: they begin with 0 and increase"),
        ("policy=steps steps=[0,5] factors=[1]", "as many of both, not 2 and 1"),
        ("policy=steps steps=[0,21] factors=[1,0.1]", "21, is after the end, 20"),
        ("steps=[0,5] factors=[1,0.1]", "do nothing with policy = 'cosine'"),
        ("warmup_epochs=20", "schedule.warmup_epochs: 20 are not less than 20"),
        ("end_learning_rate=1", "above base_learning_rate"),
        ("policy=one_cycle", "for drawn worlds"),
        ("long_cycle=true", "multigrid.long_cycle: it needs schedule.policy = 'steps'"),
        ("short_cycle=true network=mvit_v2_s_16x4", "tables of positions"),
        ("mixup_alpha=0.8 batch_size=1", "a batch of 1"),
        ("mixup_alpha=0.8 kind=charades loss.kind=binary", "one label each only"),
        ("data.kind=charades", "loss.kind: several labels .* 'binary'"),
        ("data.kind=ava loss.kind=binary", "slowfast_r50_8x8 scores no boxes"),
        ("data.boxes_test=x.csv", r"data\.boxes_test: it is for key frames, not for data\.kind = 'kinetics'"),
        ("roi_aligned=true", "scores no boxes"),
        ("data.kind=imagenet", "networks for images"),
        ("loss.kind=masked_pixels mask.ratio=0.9", "unlabelled"),
        ("data.kind=unlabelled loss.kind=masked_pixels", "mask.ratio"),
        ("layer_decay=0.75", "has batch norms"),
        ("drop_path=0.1", "no stochastic depth"),
        ("clip_value=1.0 clip_norm=1.0", "exclude each other"),
        ("clip.frames=30", "a multiple of 4, not 30"),
        ("short_side_px=[320,256]", "the smaller one comes first"),
        ("short_side_px=[200,256]", "less than the crop of 224"),
        ("rand_augment=m7n4", "is not like"),
        ("batch_norm.kind=sub splits=3", "no 3 equal parts"),
        ("clips_per_epoch=10", "for drawn worlds"),
    ],
)
def test_sections_that_contradict_each_other_are_named(tmp_path: Path, settings: str, words: str) -> None:
    path = write(tmp_path, KINETICS)
    read_recipe(path)
    given = [s if "kind" not in s or "." in s else f"data.{s}" for s in settings.split()]
    with pytest.raises(ConfigError, match=words) as caught:
        read_recipe(path, given)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", ["rand_augment=m7", "sampling_rate=2", "nesterov=false", "clips=3"])
def test_a_drawn_world_refuses_what_it_would_not_do(setting: str) -> None:
    with pytest.raises(ConfigError, match=rf"{setting.partition('=')[0]}: it does nothing for .*synthetic"):
        read_recipe("slowfast_tiny", [setting])


def test_a_recipe_that_is_not_there_tells_which_are() -> None:
    with pytest.raises(ConfigError, match=r"no recipe 'x3d_m_kinetic': .*x3d_m_kinetics, x3d_"):
        read_recipe("x3d_m_kinetic")


def test_a_run_of_an_earlier_version_is_recognised(tmp_path: Path) -> None:
    old = 'name = "x"\nmodel = "slowfast_tiny"\ndataset = "synthetic"\nepochs = 3\nlearning_rate = 1e-3\n'
    write(tmp_path, old, SETTINGS)
    (tmp_path / "last.ckpt").write_bytes(b"precious")
    with pytest.raises(ConfigError, match=r"earlier version.* 'model' is now 'model\.network'"):
        check_folder(tmp_path, read_recipe("slowfast_tiny"), resume=True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"epochs = = 3", "not valid TOML"),
        (b'name = "caf\xe9"', "not UTF-8 text"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"seed = " + b"9" * 4301, "not valid TOML"),
        (b"[schedule]\nepochs = " + b"9" * 4300, "epochs"),
        (b"[schedule]\nepochs = 2026-01-01", "epochs"),
        (b"[[schedule]]\nepochs = 3", "schedule is a section"),
        (b"schedule = 3", "schedule is a section"),
        (b"name = 3\n[run]", "name"),
        (b"render_heights_px = " + b"[" * 5000, "not valid TOML"),
    ],
)
def test_files_that_are_no_recipe_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b'base = "slowfast_tiny"\n' + content)
    with pytest.raises(ConfigError) as caught:
        read_recipe(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert len(message) < 500
