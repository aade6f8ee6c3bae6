"""How prompts of many lengths become padded batches."""

from collections.abc import Iterator

import numpy as np
import torch


def batches(lengths: list[int], n: int, room: int, batch_tokens: int) -> Iterator[list[int]]:
    """Indices of prompts of similar length, the longest first, so that memory runs out at once or not at all.

    Args:
        lengths: tokens of each prompt.
        n: completions of each prompt.
        room: new tokens of each completion.
        batch_tokens: what `n` times the longest prompt and its new tokens may add up to; one prompt always fits.

    Example:
        >>> list(batches([3, 9, 3, 3], n=1, room=1, batch_tokens=12))
        [[1], [0, 2, 3]]
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // (n * (lengths[order[start]] + room)))
        yield order[start : start + size]
        start += size


def left_pad(rows: list[list[int]], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, padded on the left, so that every row is continued at its last column.

    Example:
        >>> ids, mask = left_pad([[5, 6], [7]], pad=0, device=torch.device("cpu"))
        >>> ids.tolist(), mask.tolist()
        ([[5, 6], [0, 7]], [[1, 1], [0, 1]])
    """
    width = max(map(len, rows))
    ids = np.full((len(rows), width), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, width - len(row) :] = row
        mask[place, width - len(row) :] = 1
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)
