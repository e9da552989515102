"""The sections of a recipe: everything that decides how a network is trained, with checked values. No torch.

    [schedule]
    epochs = 196
    base_learning_rate = 0.1

Names, units and defaults are ours; those of PySlowFast are translated by `train.pyslowfast`. A default is
what the published recipes of convolutional networks share, so that a recipe says what is its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

Count = Annotated[int, Field(gt=0, le=10**9)]
Whole = Annotated[int, Field(ge=0, le=10**9)]
Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]

DataKind = Literal[
    "synthetic",  # drawn actions
    "painted",  # painted encounters of two people
    "labelled",  # what `finetune` reads: folders of classes, tables, corrected timelines
    "kinetics",
    "ucf101",
    "hmdb51",
    "something",
    "charades",
    "ava",
    "imagenet",
    "unlabelled",  # videos for masked pre-training
]


class Section(BaseModel):
    """A part of a recipe: its values do not change, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelSection(Section):
    """The network and its first weights."""

    network: str  # an architecture of `list_models()`
    start_from: str = (
        ""  # a record, a model folder or a weight file, where names and shapes match; empty: new
    )
    inflate: bool = False  # 2D kernels of `start_from` are repeated over time, and divided by its length
    dropout: Share | None = None  # None: the network's own
    drop_path: Share | None = None  # highest rate of stochastic depth, in the last block
    num_classes: Count | None = None  # logits; None: as many as the data has classes
    zero_init_last_norm: bool = True  # residual branches begin as nothing
    roi_aligned: bool | None = (
        None  # detection: boxes are half a pixel off otherwise; None: the network's own
    )
    head_init_std: PositiveFloat = 0.01
    head_init_scale: PositiveFloat = 1.0
    checkpoint_blocks: bool = False  # activations of blocks are computed twice and not kept: less memory
    frozen: tuple[str, ...] = ()  # modules that stay as they are: "slow.stem"


class DataSection(Section):
    """Where the clips come from. Paths are relative to the working folder."""

    kind: DataKind
    train: tuple[str, ...] = ()  # lists of training clips, in the published format of the kind
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()  # empty: those of validation
    videos: str = ""  # the folder that paths in lists are relative to
    labels: str = ""  # names of the classes: a file of one a line, JSON or pbtxt, as the kind publishes it
    separator: str = " "  # between path and label, of Kinetics lists
    multi_label: bool = False
    cache_gb: NotNegative = 0.0  # of decoded frames on the disk, where clips are short and few; 0: none
    # AVA
    boxes_train: tuple[str, ...] = ()  # ground truth for training
    predicted_boxes_train: tuple[str, ...] = ()  # those without a label are negatives
    predicted_boxes_test: tuple[str, ...] = ()
    boxes_test: str = ""
    excluded: str = ""
    least_box_score: Share = 0.9
    # the drawn worlds
    clips_per_epoch: Whole = 0
    validation_clips: Whole = 0
    render_heights_px: tuple[Count, ...] = ()


class ClipSection(Section):
    """Clips in training: which frames, and which part of them."""

    frames: Count | None = None  # None: the network's own
    sampling_rate: Count | None = (
        None  # frames of a 30 fps video for one of the clip; None: the network's own
    )
    fps_jitter: NotNegative = 0.0  # the 30 fps become up to so many more, drawn for each clip
    short_side_px: tuple[Count, Count] = (256, 320)  # drawn for each clip …
    inverse_uniform: bool = False  # … uniformly; True: its inverse is
    crop_px: Count | None = None  # None: the network's own
    area: tuple[Share, Share] | None = (
        None  # "inception" crop in place of short side and crop: share of the area
    )
    aspect: tuple[PositiveFloat, PositiveFloat] = (0.75, 4 / 3)  # width over height of that crop
    motion_shift: bool = False  # of that crop: two boxes, and those between them in time
    flip: bool = True
    bgr: bool = False  # weights of Caffe2 want blue, green, red
    mean: tuple[float, float, float] | None = None  # of red, green, blue in 0 to 1; None: the network's own
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    temporal_clips: Count = 1  # clips of each video at different times
    gaps_s: tuple[float, float] | None = (
        None  # from the end of one to the start of the next, least and most; None: any
    )
    repeats: Count = 1  # of each video: decoded once, changed so often; the batch grows by it


class AugmentationSection(Section):
    """Changes of pixels in training."""

    rand_augment: str = ""  # "m7-n4-mstd0.5-inc1"; empty: none
    interpolation: Literal["bilinear", "bicubic", "random"] = "bicubic"
    erasing: Share = 0.0  # how often a rectangle is erased
    erasing_mode: Literal["pixel", "color", "zero"] = "pixel"  # noise of each pixel; one colour a frame; zero
    erasing_count: Count = 1
    brightness: NotNegative = 0.0
    contrast: NotNegative = 0.0
    saturation: NotNegative = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    color_probability: Share = 1.0
    grayscale: Share = 0.0
    blur: Share = 0.0  # how often a clip is blurred
    pca_lighting: NotNegative = 0.0  # standard deviation of a shift along the colours' main axes


class MixSection(Section):
    """MixUp and CutMix of a batch, on the whole clip, and label smoothing."""

    mixup_alpha: NotNegative = 0.0  # 0: none
    cutmix_alpha: NotNegative = 0.0
    probability: Share = 1.0  # of mixing a batch
    cutmix_share: Share = 0.5  # of the mixed batches, where both are wanted
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class OptimizerSection(Section):
    """Steps of the weights."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    momentum: Share = 0.9
    dampening: Share = 0.0
    nesterov: bool = True
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: NotNegative = 1e-4
    norm_weight_decay: NotNegative = 0.0  # of batch norms, sub-batch norms included
    decay_1d: bool = True  # False: biases and what else has one dimension do not decay
    decay_positions: bool = True  # False: nor do position embeddings and class tokens
    layer_decay: Annotated[float, Field(gt=0, le=1)] = (
        1.0  # each block learns at this factor of the next one's rate
    )
    lars: bool = False
    clip_value: PositiveFloat | None = None
    clip_norm: PositiveFloat | None = None
    accumulate: Count = 1  # batches of a step
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = (
        0.0  # of the average of weights that is evaluated; 0: none
    )


class ScheduleSection(Section):
    """The learning rate over epochs, counted in fractions. Source: PySlowFast, utils/lr_policy.py."""

    epochs: Count
    policy: Literal["cosine", "steps", "one_cycle"] = "cosine"  # one_cycle: torch's OneCycleLR, every step
    base_learning_rate: PositiveFloat
    end_learning_rate: NotNegative = 0.0  # of the cosine
    warmup_epochs: NotNegative = 0.0
    warmup_start_learning_rate: NotNegative = 0.01
    cosine_after_warmup: bool = False  # the cosine begins where the warm-up ends, not with the run
    steps: tuple[NotNegative, ...] = ()  # epochs from which on the factors hold; the first one is 0
    factors: tuple[NotNegative, ...] = ()  # of the base learning rate
    gamma: PositiveFloat = 0.1  # of multigrid, which computes its own factors


class BatchNormSection(Section):
    """Statistics of batch norms."""

    kind: Literal["batch", "sync", "sub"] = "batch"
    splits: Count = 1  # sub: parts of a batch with statistics of their own
    devices: Count = 1  # sync: that share statistics; 1: none, for "sync" all
    precise_batches: Whole = (
        0  # statistics from so many training batches before an evaluation; 0: running ones
    )
    frozen: bool = False  # running statistics stay; weights and biases learn


class MultigridSection(Section):
    """Clips of changing shapes (Wu et al. 2020, arXiv:1912.00998)."""

    long_cycle: bool = False
    short_cycle: bool = False
    long_factors: tuple[tuple[float, float], ...] = (
        (0.25, 0.5**0.5),
        (0.5, 0.5**0.5),
        (0.5, 1.0),
        (1.0, 1.0),
    )
    short_factors: tuple[float, float] = (0.5, 0.5**0.5)
    epoch_factor: PositiveFloat = 1.5
    norm_clips: Count = 8  # statistics of batch norms are over so many clips
    evaluations: Count = 3  # of each phase


class LossSection(Section):
    """What is minimised."""

    kind: Literal["cross_entropy", "binary", "masked_pixels", "masked_hog"] = "cross_entropy"


class MaskSection(Section):
    """What masked pre-training hides of a clip, and how it is found again."""

    ratio: Share = 0.0  # of the tokens
    shape: Literal["random", "tube", "cube"] = "random"  # tube: the same at all times; cube: blocks of tokens
    window: tuple[Count, Count, Count] = (8, 7, 7)  # tokens in time, height and width that a cube is drawn in
    decoder_depth: Whole = 0  # blocks; 0: a linear layer on the last block's tokens
    decoder_width: Count = 512
    decoder_separate_positions: bool = False  # of space and of time
    normalized_pixels: bool = True  # each patch by its own mean and variance
    first_frames_only: bool = True  # targets are the first frame of each tubelet


class EvaluationSection(Section):
    """How the network is measured: during training by one view, at the end by the published protocol."""

    every_epochs: Count = 10
    validation_view: Literal["center", "random"] = "center"  # random: as PySlowFast, noisier and lower
    crop_px: Count | None = None  # None: the network's own
    clips: Count = 10
    crops: Literal[1, 3] = 3
    combine: Literal["mean", "max"] = "mean"
    offset_views: bool = False  # the last clip ends with the video
    at_end: bool = True  # measure so when the training ends


class RunSection(Section):
    """What the machine does."""

    batch_size: Count  # clips of a step, of all processes together
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    workers: Annotated[int, Field(ge=0, le=1024)] | None = (
        None  # processes that make clips; None: by the cores
    )
    checkpoint_every_epochs: Count = 1
    stored_as: Literal["float32", "float16"] = "float32"  # of the finished weights
