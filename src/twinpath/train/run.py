"""One training run: a recipe in, a folder with weights, settings, metrics and checkpoints out."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger

from twinpath import __version__
from twinpath.atomic import atomic_path
from twinpath.device import leave_cores_to
from twinpath.errors import ConfigError
from twinpath.train.checkpoints import LastTwoCheckpoints, intact_checkpoint
from twinpath.train.classification import ClassificationModule, SyntheticClipData
from twinpath.train.detection import DetectionModule, SyntheticKeyframeData, warm_start
from twinpath.train.encounters import EncounterModule, PaintedClipData
from twinpath.train.fitting import fit, quiet_lightning
from twinpath.train.recipe import LAST, SETTINGS, Recipe, check_folder, to_toml
from twinpath.train.recipe_checks import DRAWN
from twinpath.weights.load import save_weights
from twinpath.zoo.create import create_model, input_spec, resolve


def train(recipe: Recipe, folder: Path, *, resume: bool = False, progress: bool = True) -> Path:
    """Train a model on drawn clips; for clips of files see `train.loop.train.train_clips`.

    Args:
        recipe: Settings of the run.
        folder: Gets `recipe.toml`, `metrics/`, `last.ckpt` after each epoch and the one before it as
            `previous.ckpt`, and at the end the weights as `<name>.safetensors`.
        resume: Go on from `last.ckpt`; from `previous.ckpt` where that is damaged, with a warning.
        progress: Show a bar with the time left, on stderr.
    Returns:
        Path of the weights.
    Raises:
        ConfigError: `folder` holds another run, or nothing to resume; or data that is not drawn.
        DamagedWeights: Both checkpoints are damaged.
        TrainingDiverged: The loss is infinite or NaN.
        Interrupted, Terminated: Stopped by the user.
        WorkerDied: A process that draws clips was killed.
    """
    last = folder / LAST
    if recipe.data.kind not in DRAWN:
        raise ConfigError(f"data.kind: {recipe.data.kind!r} is not drawn: it is for train_clips")
    check_folder(folder, recipe, resume=resume)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / SETTINGS) as temporary:
        temporary.write_text(to_toml(recipe), "utf-8")
    quiet_lightning()
    leave_cores_to(recipe.num_workers)
    L.seed_everything(recipe.run.seed, workers=True, verbose=False)
    module, clips = _parts(recipe)
    checkpoint = intact_checkpoint(folder, module) if resume else None
    trainer = _trainer(recipe, folder, progress=progress, resumed_from=checkpoint)
    fit(trainer, module, clips, checkpoint=checkpoint, last=last)
    path = folder / f"{recipe.name}.safetensors"
    facts = {"recipe": to_toml(recipe), "made_by": f"twinpath {__version__}", "model": recipe.model.network}
    if recipe.run.stored_as == "float16":
        module.network.half()  # a file of half the size
    save_weights(module.network, path, metadata=facts)
    return path


def _parts(recipe: Recipe) -> tuple[ClassificationModule, L.LightningDataModule]:
    """The module with its network, and the data."""
    name, start_from = recipe.model.network, recipe.model.start_from
    is_detector, spec = resolve(name)[0].is_detector, input_spec(name)
    is_painted = recipe.data.kind == "painted"
    if is_painted:
        data: PaintedClipData | SyntheticClipData | SyntheticKeyframeData = PaintedClipData(recipe, spec)
    else:
        data = (SyntheticKeyframeData if is_detector else SyntheticClipData)(recipe, spec)
    network = create_model(name, num_classes=data.num_classes)
    if start_from:
        warm_start(network, create_model(start_from, pretrained=True))
    if is_painted:
        return EncounterModule(network, recipe), data
    return (DetectionModule if is_detector else ClassificationModule)(network, recipe), data


def _trainer(recipe: Recipe, folder: Path, *, progress: bool, resumed_from: Path | None) -> L.Trainer:
    checkpoints = LastTwoCheckpoints(folder, resumed_from=resumed_from)
    bar = [RichProgressBar(console_kwargs={"stderr": True})] if progress else []
    return L.Trainer(
        max_epochs=recipe.schedule.epochs,
        precision=recipe.run.precision,
        logger=CSVLogger(folder, name="metrics", version=""),
        callbacks=[checkpoints, *bar],
        enable_progress_bar=progress,
        enable_model_summary=False,
        reload_dataloaders_every_n_epochs=1,  # each epoch has clips of its own
        num_sanity_val_steps=0,
        log_every_n_steps=20,
        gradient_clip_val=recipe.optimizer.clip_norm,
        check_val_every_n_epoch=recipe.evaluation.every_epochs,
    )
