"""Base class of all networks, with the method names of timm."""

from __future__ import annotations

from torch import Tensor, nn

from twinpath.models.layers.head import Head


class VideoNetwork(nn.Module):
    """A network for clips (B, 3, T, H, W), normalised, RGB, at the frame rate of its fastest pathway.

    Subclasses implement `forward_features` and set `head`.
    """

    head: Head

    def forward_features(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, T, H, W) to the last maps, one for each pathway, as `head` takes them."""
        raise NotImplementedError

    def stage_channels(self) -> list[int] | None:
        """Channels of the maps that a `StagesHead` takes of it; None: such a head is not for this network."""
        return None

    def forward(self, clip: Tensor) -> Tensor:
        """(B, 3, T, H, W) to logits (B, num_classes)."""
        logits: Tensor = self.head(self.forward_features(clip))
        return logits

    def scores(self, clip: Tensor) -> Tensor:
        """(B, 3, T, H, W) to the scores that the upstream reports, (B, num_classes) in 0 to 1."""
        return self.head.scores(self.forward_features(clip))

    def embed(self, clip: Tensor) -> Tensor:
        """(B, 3, T, H, W) to the input of the classifier, (B, D): a feature vector for a clip."""
        return self.head.embed(self.forward_features(clip))

    def get_classifier(self) -> nn.Linear:
        """The last layer: embeddings (…, D) to logits (…, num_classes)."""
        return self.head.projection

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the last layer by a new one, with new weights, for this number of classes.

        Raises:
            ValueError: Fewer than one class.
        """
        if num_classes < 1:
            raise ValueError(f"a network needs at least one class, not {num_classes}")
        old = self.head.projection
        new = nn.Linear(old.in_features, num_classes, device=old.weight.device, dtype=old.weight.dtype)
        nn.init.normal_(new.weight, std=0.01)
        nn.init.zeros_(new.bias)
        self.head.projection = new
