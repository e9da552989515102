"""Position embeddings: learned tables that are added to tokens, or used in attention.

A grid is (frames, rows, columns) of tokens. Tables have one row of C channels for each position, and are
interpolated linearly where the grid has another size than that of a training clip.
Source: Fan et al. 2021, Multiscale Vision Transformers (arXiv:2104.11227), section 3.1; Li et al. 2022,
MViTv2 (arXiv:2112.01526), section 4.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Grid = tuple[int, int, int]


class SeparatePositions(nn.Module):
    """One table for positions in a frame and one for frames; a token's embedding is the sum of both.

    Args:
        channels: C.
        grid: Tokens of a training clip.
        class_token: Whether there is one, before the tokens of the grid; it has a row of its own.
    """

    def __init__(self, channels: int, *, grid: Grid, class_token: bool) -> None:
        super().__init__()
        self.grid = grid
        self.spatial = nn.Parameter(torch.empty(grid[1] * grid[2], channels))
        self.temporal = nn.Parameter(torch.empty(grid[0], channels))
        self.class_token = nn.Parameter(torch.empty(channels)) if class_token else None
        for table in self.parameters():
            nn.init.trunc_normal_(table, std=0.02)

    def forward(self, grid: Grid) -> Tensor:
        """Rows to add to the tokens of such a grid, frame by frame, the class token's first: (N, C)."""
        spatial = resample_plane(self.spatial, self.grid[1:], grid[1:])
        temporal = resample_line(self.temporal, grid[0])
        places = (temporal[:, None] + spatial).flatten(0, 1)
        return places if self.class_token is None else torch.cat([self.class_token[None], places])


class JointPositions(nn.Module):
    """One table with a row for each token of a single frame, for image networks.

    Args:
        channels: C.
        grid: Tokens of a training image; one frame.
        class_token: Whether there is one, before the tokens of the grid; it has the table's first row.
    Raises:
        ValueError: The grid has several frames.
    """

    def __init__(self, channels: int, *, grid: Grid, class_token: bool) -> None:
        super().__init__()
        if grid[0] != 1:
            raise ValueError(f"joint positions are for one frame of tokens, not {grid[0]}")
        self.grid = grid
        self.first = int(class_token)
        self.joint = nn.Parameter(torch.empty(self.first + grid[1] * grid[2], channels))
        nn.init.trunc_normal_(self.joint, std=0.02)

    def forward(self, grid: Grid) -> Tensor:
        """Rows to add to the tokens of such a grid, the class token's first: (N, C)."""
        if grid == self.grid:
            return self.joint
        places = resample_plane(self.joint[self.first :], self.grid[1:], grid[1:])
        return torch.cat([self.joint[: self.first], places.repeat(grid[0], 1)])


class RelativePositions(nn.Module):
    """Relative position embeddings of attention, decomposed into time, height and width.

    A table has a row for each distance from -(n-1) to n-1 along its axis. The product of a query with a row
    is added to its attention to all keys at that distance.

    Args:
        channels: C, of one head; heads share the tables.
        sizes: n of each axis; None in time: an image network has no table for it.
    """

    def __init__(self, channels: int, *, sizes: tuple[int | None, int, int]) -> None:
        super().__init__()
        time, height, width = sizes
        self.time = None if time is None else nn.Parameter(torch.empty(2 * time - 1, channels))
        self.height = nn.Parameter(torch.empty(2 * height - 1, channels))
        self.width = nn.Parameter(torch.empty(2 * width - 1, channels))
        for table in self.parameters():
            nn.init.trunc_normal_(table, std=0.02)

    def forward(self, q_BHNC: Tensor, q_grid: Grid, k_grid: Grid) -> Tensor:
        """The bias of attention: what is added to the products of queries and keys.

        Args:
            q_BHNC: Queries of H heads, not scaled. A class token, if there is one, comes first; its row and
                column are 0.
            q_grid, k_grid: Tokens of queries and keys.
        Returns:
            (B, H, queries, keys), with a row and a column for the class token if the queries have one.
        """
        num_class_tokens = q_BHNC.shape[2] - q_grid[0] * q_grid[1] * q_grid[2]
        q = q_BHNC[:, :, num_class_tokens:].unflatten(2, q_grid)  # type: ignore[no-untyped-call]
        height = rows_by_distance(self.height, q_grid[1], k_grid[1])
        width = rows_by_distance(self.width, q_grid[2], k_grid[2])
        frame = torch.einsum("bnthwc,hkc->bnthwk", q, height)[..., None, :]
        if self.time is not None:
            time = rows_by_distance(self.time, q_grid[0], k_grid[0])
            frame = frame + torch.einsum("bnthwc,tkc->bnthwk", q, time)[..., None]
        added = frame[..., None] + torch.einsum("bnthwc,wkc->bnthwk", q, width)[..., None, None, :]
        added = added.expand(-1, -1, -1, -1, -1, k_grid[0], -1, -1).flatten(5).flatten(2, 4)
        return F.pad(added, (num_class_tokens, 0, num_class_tokens, 0)) if num_class_tokens else added


def rows_by_distance(table_NC: Tensor, num_queries: int, num_keys: int) -> Tensor:
    """The table's row for each pair of a query and a key along one axis: (num_queries, num_keys, C).

    Where there are fewer keys than queries, or the reverse, they are spaced so that both cover the same
    length; distances are rounded down to whole steps.
    """
    longer = max(num_queries, num_keys)
    q_step, k_step = longer / num_queries, longer / num_keys
    steps = torch.arange(longer, device=table_NC.device)
    # In this order and in float32, as upstream: another order rounds some distances to another step.
    distance = steps[:num_queries, None] * q_step - steps[None, :num_keys] * k_step
    distance = distance + (num_keys - 1) * k_step
    return resample_line(table_NC, 2 * longer - 1)[distance.long()]


def resample_line(table_NC: Tensor, length: int) -> Tensor:
    """A table along one axis at another length, linearly: (length, C)."""
    if table_NC.shape[0] == length:
        return table_NC
    return F.interpolate(table_NC.T[None], size=length, mode="linear")[0].T


def resample_plane(table_NC: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """A table of `old` rows x columns, row by row, at another size, bilinearly: (new rows * columns, C)."""
    if old == new:
        return table_NC
    plane = table_NC.T.reshape(1, table_NC.shape[1], *old)
    return F.interpolate(plane, size=new, mode="bilinear")[0].flatten(1).T
