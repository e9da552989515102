"""Networks on the Hugging Face Hub. Needs the extra `hub`: pip install 'twinpath[hub]'

model = create_model("slowfast_r50_8x8.ptv_k400", pretrained=True, num_classes=7)
...                                                         # train it
HubModel(model, "slowfast_r50_8x8.ptv_k400").push_to_hub("me/seven-actions")

model = HubModel.from_pretrained("me/seven-actions").network

A repository, or a folder that `save_pretrained` wrote, holds `config.json` (the network, its classes, frames
and `HeadConfig`) and `model.safetensors` with our names, a weight file like any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twinpath.atomic import atomic_path
from twinpath.errors import ConfigError, MissingExtra, UsageError

try:
    from huggingface_hub import ModelHubMixin, hf_hub_download
    from torch import nn
except ModuleNotFoundError as error:
    raise MissingExtra(f"the Hub needs {error.name}; install it with: pip install 'twinpath[hub]'") from error

from twinpath.models.layers.head import HeadConfig
from twinpath.models.network import VideoNetwork
from twinpath.models.shapes_only import shapes_only
from twinpath.weights.load import load_weights, save_weights
from twinpath.zoo.create import create_model, resolve

CONFIG = "config.json"
WEIGHTS = "model.safetensors"

_CARD = """---
{{ card_data }}
---

A network for video action recognition, made with Twinpath (`pip install 'twinpath[hub]'`).

```python
from twinpath.zoo.hub import HubModel

model = HubModel.from_pretrained("this/repository").network  # a torch module: (B, 3, T, H, W) to logits
```
"""


class HubConfig(BaseModel):
    """The content of `config.json`: all that is needed to build the network again."""

    model_config = ConfigDict(frozen=True)

    architecture: str
    model: str  # as in create_model: the network, or a record with its own variant of it
    num_classes: int = Field(ge=1)
    num_frames: int = Field(ge=1)
    head_config: HeadConfig
    aligned: bool | None = None  # of RoIAlign, for detection networks; None: as the model has it


class HubModel(
    ModelHubMixin,
    library_name="twinpath",
    pipeline_tag="video-classification",
    tags=["video", "action-recognition"],
    model_card_template=_CARD,
):
    """A network with `save_pretrained`, `push_to_hub` and `from_pretrained` of the Hub.

    Args:
        network: From `create_model`, trained or not, also after `reset_classifier`.
        model: Its name in `create_model`.
        in_frames: Its T, where not the network's own.
    Attributes:
        network: The torch module; from `from_pretrained` in evaluation mode.
        config: The content of `config.json`.
    Raises:
        UnknownModel: No such name; names the nearest one.
        UsageError: The network does not have the names and shapes of that name.
    """

    def __init__(self, network: nn.Module, model: str, *, in_frames: int | None = None) -> None:
        architecture, _ = resolve(model)
        if not isinstance(network, VideoNetwork):
            raise UsageError(f"network must come from create_model; a {type(network).__name__} does not")
        self.network = network
        self.config = HubConfig(
            architecture=architecture.name,
            model=model,
            num_classes=network.get_classifier().out_features,
            num_frames=in_frames or architecture.num_frames,
            head_config=network.head.head_config,
            aligned=network.head.aligned,
        )
        with shapes_only():
            same = _build(self.config).state_dict()
        if {n: t.shape for n, t in network.state_dict().items()} != {n: t.shape for n, t in same.items()}:
            raise UsageError(f"this network is no {model} of {self.config.num_frames} frames")

    def _save_pretrained(self, save_directory: Path) -> None:
        about = {"architecture": self.config.architecture, "num_classes": str(self.config.num_classes)}
        save_weights(self.network, save_directory / WEIGHTS, about)
        with atomic_path(save_directory / CONFIG) as temporary:
            temporary.write_text(
                self.config.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8"
            )

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, config: dict[str, Any] | None = None, **where: Any
    ) -> HubModel:
        """Called by `from_pretrained` with the content of `config.json`; `where` is for the download."""
        known = _read(config, model_id)
        path = Path(model_id) / WEIGHTS
        if not Path(model_id).is_dir():
            path = Path(hf_hub_download(model_id, WEIGHTS, **where))
        network = _build(known)
        load_weights(network, path)
        return cls(network.eval(), known.model, in_frames=known.num_frames)


def _read(config: dict[str, Any] | None, model_id: str) -> HubConfig:
    if config is None:
        raise ConfigError(f"{model_id} holds no {CONFIG}; give a folder or a repository of save_pretrained")
    try:
        return HubConfig(**config)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise ConfigError(f"{CONFIG} of {model_id}: {key}: {problem['msg']}") from error


def _build(config: HubConfig) -> VideoNetwork:
    network = create_model(config.model, num_classes=config.num_classes, in_frames=config.num_frames)
    assert isinstance(network, VideoNetwork)
    network.head.head_config = config.head_config
    if config.aligned is not None and network.head.aligned is not None:
        network.head.aligned = config.aligned
    return network
