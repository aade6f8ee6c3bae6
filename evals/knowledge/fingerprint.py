"""Which model's knowledge it is: a hash of the weights, the same in whatever number format they were loaded."""

import hashlib
import json
import shlex
from typing import TYPE_CHECKING, Any

from abstain.evals.knowledge.labels import About, Labels

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


def check_model(labels: Labels, found: str, name: str, where: str = "") -> None:
    """Refuse labels that say what another model knows.

    Args:
        labels: whose `about.fingerprint` says whose they are.
        found: the fingerprint of the model at hand.
        name: of that model.
        where: the labels' folder, if they have one.

    Raises:
        ValueError: they are another model's, with the command that makes its own.
    """
    about = labels.about
    if about.fingerprint == found:
        return
    place = f"{where}: these labels" if where else "these labels"
    raise ValueError(
        f"{place} say what {about.model} knows (fingerprint {about.fingerprint}), not what {name} does ({found}). "
        f"Label it: {label_command(name, about)}"
    )


def label_command(name: str, about: About) -> str:
    """The command that labels the same questions with another model."""
    options = [f"--option {key}={_typed(value)}" for key, value in about.task_options.items()]
    words = ["abstain label", shlex.quote(name), "--task", shlex.quote(about.task), *options]
    return " ".join([*words, *(["--preset", preset] if (preset := about.protocol.get("preset")) else [])])


def _typed(value: Any) -> str:
    """A value as it is typed after `--option KEY=`."""
    return shlex.quote(value if isinstance(value, str) else json.dumps(value))
