"""The determinant of a response's hidden states: the Hidden score of LLM-Check at one layer."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

LIMIT = 64.0
"""How far fp32 goes: up to LIMIT m for the Frobenius norm of the inverse of C, the Gram matrix with a unit diagonal.

An error E of C changes ln det by tr(C⁻¹ E), so by some ε ‖C⁻¹‖ where every entry is ε off. Up to here scores are at
most 2e-5 off, measured on random states that share a direction, for m = 1 to 128 and d = 2 to 64.
"""
PROBES = 4  # vectors of random signs z that measure it: the mean of ‖C⁻¹ z‖² is its square


class HiddenForm(NamedTuple):
    """How sources differ.

    Args:
        centred: each token's state less its mean over features.
        regulariser: α, added to the diagonal.
    """

    centred: bool
    regulariser: float


HIDDEN_FORMS = {"paper": HiddenForm(False, 0.0), "official": HiddenForm(True, 1e-3)}
"""Of the paper (Sriramanan et al. 2024, equation of section 4), and of its released code."""


def log_dets(states: Tensor, counts: Sequence[int], form: HiddenForm) -> Tensor:
    """(1/m) ln det(H J Hᵀ + α I) of each response, from the Cholesky factor of its Gram matrix.

    H are the m states, J = I − 11ᵀ/d or I. A response of more tokens than features, m > d, has only d singular values:
    with α the determinant follows from the d × d Gram matrix, and without it is the product over those values, as
    (2/m) Σ ln σᵢ says. In fp32, and in fp64 where that would lose the small singular values or α.

    Args:
        states: (B, M, d) hidden states of one layer, of any floating type.
        counts: m of each response; what stands behind is not looked at.
        form: of `HIDDEN_FORMS`.

    Returns:
        (B,) in fp64 on the states' device; NaN where there is no state, one is not finite, or they are dependent.

    Example:
        Orthogonal states of length 2, and the same state twice, whose squared length about its mean is c:

        >>> same = torch.tensor([[[3.0, 1.0, 0.0, 0.0], [3.0, 1.0, 0.0, 0.0]]])
        >>> log_dets(2 * torch.eye(4)[None, :3], [3], HIDDEN_FORMS["paper"])  # ln 4
        tensor([1.3863], dtype=torch.float64)
        >>> found = log_dets(same, [2], HIDDEN_FORMS["official"]).item()
        >>> c, alpha = 6.0, 1e-3
        >>> abs(found - (math.log(2 * c + alpha) + math.log(alpha)) / 2) < 1e-6
        True
    """
    size = states.shape[-1]
    found = torch.full((len(counts),), torch.nan, dtype=torch.float64, device=states.device)
    for wide in (False, True):
        rows = [row for row, count in enumerate(counts) if count and (count > size) == wide]
        if rows:
            there = torch.tensor([counts[row] for row in rows], device=states.device)
            some = states if len(rows) == len(states) else states[rows]
            with torch.autocast(states.device.type, enabled=False):
                found[rows] = _log_dets(some[:, : max(counts[row] for row in rows)], there, form, wide)
    return found


def _log_dets(states: Tensor, counts: Tensor, form: HiddenForm, wide: bool) -> Tensor:
    total, lost = _cholesky(states.float(), counts, form, wide)
    if lost.any():
        total[lost] = _cholesky(states[lost].double(), counts[lost], form, wide)[0]
    return total / counts


def _cholesky(states: Tensor, counts: Tensor, form: HiddenForm, wide: bool) -> tuple[Tensor, Tensor]:
    """ln det of each, and which of them this precision does not carry."""
    if form.centred:
        states = states - states.mean(-1, keepdim=True)
    outside = torch.arange(states.shape[1], device=states.device) >= counts[:, None]
    if outside.any():
        states = states.masked_fill(outside[..., None], 0.0)
    gram = states.mT @ states if wide else states @ states.mT
    diagonal = gram.diagonal(dim1=-2, dim2=-1)
    diagonal += form.regulariser
    if not wide:
        diagonal.masked_fill_(outside, 1.0)  # which multiplies the determinant by one
    factor, failed = torch.linalg.cholesky_ex(gram)
    pivots = factor.diagonal(dim1=-2, dim2=-1).square()
    total = pivots.double().log().sum(-1).masked_fill(failed > 0, torch.nan)
    if wide and form.regulariser:
        total += (counts - gram.shape[-1]) * math.log(form.regulariser)
    scale = diagonal.sqrt()[..., None]
    signs = torch.randint(2, (gram.shape[-1], PROBES), generator=torch.Generator().manual_seed(0)) * 2 - 1
    solved = scale * torch.cholesky_solve(scale * signs.to(scale), factor)
    size = solved.square().sum((-2, -1)).div(PROBES).sqrt()
    return total, ~(size <= LIMIT * counts) | (failed > 0)
