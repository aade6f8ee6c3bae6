"""Which model's knowledge it is: a hash of the weights, the same in whatever number format they were loaded."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ELEMENTS = 65_536
"""That many of each weight go into the hash, evenly strided: enough to see any training, and quick."""
ENDPOINT = "endpoint:"


def fingerprint(model: "PreTrainedModel") -> str:
    """A hash of a model's weights: 16 hexadecimal digits.

    For each parameter (once, where two are tied) its name, its shape, and at most 65,536 of its elements at equal
    distances, each rounded to bfloat16. So a model is the same whether it was loaded in float32 or in bfloat16; in
    float16 only if it is stored so, for what is rounded twice is not always rounded alike. Training moves each element
    by little, but of so many some are always next to where the rounding turns.

    Args:
        model: on any device.

    Example:
        >>> import torch
        >>> layer = torch.nn.Linear(2, 2)
        >>> before = fingerprint(layer)
        >>> fingerprint(layer) == before, len(before)
        (True, 16)
        >>> with torch.no_grad():
        ...     _ = layer.bias.add_(0.5)
        >>> fingerprint(layer) == before
        False
    """
    import torch

    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters(), key=lambda item: item[0]):
        flat = parameter.detach().reshape(-1)
        stride = (-(-flat.numel() // ELEMENTS) or 1) | 1  # odd, or it would meet the same columns in each row
        rounded = flat[::stride].to(torch.bfloat16).contiguous().view(torch.int16).cpu()
        digest.update(f"{name}\0{tuple(parameter.shape)}\0".encode())
        digest.update(rounded.numpy().tobytes())
    return digest.hexdigest()[:16]


def endpoint_fingerprint(name: str) -> str:
    """What stands for the weights of a model behind an endpoint, which nobody sees.

    Example:
        >>> endpoint_fingerprint("qwen3-32b")
        'endpoint:qwen3-32b'
    """
    return f"{ENDPOINT}{name}"
