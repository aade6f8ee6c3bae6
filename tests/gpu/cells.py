"""What is measured: sizes of models, prompts and answers, the most telling first."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Shape:
    """A Llama's sizes."""

    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    intermediate: int
    vocabulary: int

    @property
    def linear_weights(self) -> int:
        """Weights that every token is multiplied with, the head's not counted."""
        keys = 2 * self.key_value_heads * (self.hidden // self.heads)
        return self.layers * self.hidden * (2 * self.hidden + keys + 3 * self.intermediate)


@dataclass(frozen=True)
class Cell:
    """One comparison of stock TRL with shared prefixes on one batch.

    Args:
        name: shown in the table.
        shape: of the model, with random weights.
        prompt: tokens of the longest prompt; the others are up to a tenth shorter, so that batches are padded.
        answer: tokens of every completion.
        generations: G.
        distinct: share of a group's completions that logits are sharpened for.
        prompts: Q.
        precision: "bf16" is autocast over fp32 weights, as TRL trains.
        even: all prompts equally long: nothing is padded, and stock's attention needs no mask.
        seconds: what it is expected to take on an H200, a guess: none was at hand.
    """

    name: str
    shape: Shape
    prompt: int
    answer: int
    generations: int
    distinct: float
    prompts: int = 8
    precision: str = "bf16"
    even: bool = False
    seconds: float = 20

    @property
    def rows(self) -> int:
        return self.prompts * self.generations

    def as_dict(self) -> dict[str, object]:
        return asdict(self) | {"linear_weights": self.shape.linear_weights}


SMALL_135M = Shape(576, 30, 9, 3, 1536, 49_152)
HALF_BILLION = Shape(896, 24, 14, 2, 4864, 151_936)

CELLS = [
    Cell("135M 50+10 G16 30%", SMALL_135M, 50, 10, 16, 0.3, seconds=15),
    Cell(".5B 500+64 G16 100%", HALF_BILLION, 500, 64, 16, 1.0, seconds=35),
    Cell("135M 50+10 G16 30% fp32", SMALL_135M, 50, 10, 16, 0.3, precision="fp32", seconds=12),
    Cell(".5B 50+64 G16 30%", HALF_BILLION, 50, 64, 16, 0.3, seconds=25),
    Cell("135M 50+10 G64 10%", SMALL_135M, 50, 10, 64, 0.1, seconds=15),
    Cell("135M 50+64 G16 100%", SMALL_135M, 50, 64, 16, 1.0, seconds=25),
    Cell(".5B 500+10 G16 30% even", HALF_BILLION, 500, 10, 16, 0.3, even=True, seconds=20),
    Cell("135M 500+64 G8 100% even", SMALL_135M, 500, 64, 8, 1.0, even=True, seconds=25),
    Cell("135M 50+256 G8 30%", SMALL_135M, 50, 256, 8, 0.3, seconds=60),
    Cell(".5B 500+256 G8 100%", HALF_BILLION, 500, 256, 8, 1.0, seconds=60),
]
"""For a GPU."""

TINY = Shape(64, 2, 4, 2, 192, 512)
SMALL = [
    Cell("tiny 16+8 G8 30%", TINY, 16, 8, 8, 0.3, prompts=4, seconds=3),
    Cell("tiny 16+8 G8 30% fp32", TINY, 16, 8, 8, 0.3, prompts=4, precision="fp32", seconds=3),
    Cell("tiny 50+16 G8 100%", TINY, 50, 16, 8, 1.0, prompts=4, seconds=3),
    Cell("tiny 50+8 G16 10% even", TINY, 50, 8, 16, 0.1, prompts=4, even=True, seconds=3),
]
"""The same in miniature, to try all of the check on a CPU."""


def cpu_grid(precision: str) -> list[Cell]:
    """Sizes over a range, each a few seconds on one core: what the cost model of a CPU is fitted to."""
    narrow = Shape(128, 3, 4, 4, 384, 2_000)
    middle = Shape(192, 4, 4, 2, 576, 4_000)
    wide = Shape(320, 6, 5, 5, 960, 8_000)
    sizes = [
        (narrow, 16, 4, 16, 0.3, 12),
        (middle, 50, 10, 8, 1.0, 4),
        (wide, 50, 10, 8, 0.3, 2),
        (narrow, 200, 8, 8, 0.3, 4),
        (middle, 16, 48, 4, 1.0, 4),
        (wide, 10, 4, 2, 1.0, 2),
        (narrow, 64, 16, 8, 1.0, 8),
        (middle, 128, 16, 8, 0.3, 2),
        (wide, 16, 8, 8, 0.3, 4),
        (narrow, 16, 96, 8, 1.0, 4),
        (middle, 300, 8, 4, 0.5, 2),
        (wide, 100, 12, 4, 1.0, 2),
        (narrow, 200, 64, 2, 1.0, 4),
        (middle, 50, 10, 16, 0.3, 4),
        (wide, 16, 32, 2, 1.0, 4),
        (narrow, 8, 4, 2, 1.0, 4),
    ]
    return [
        Cell(
            f"{shape.hidden}×{shape.layers} {prompt}+{answer} {prompts}×{generations} {distinct:.0%}",
            shape,
            prompt,
            answer,
            generations,
            distinct,
            prompts=prompts,
            precision=precision,
            seconds=10,
        )
        for shape, prompt, answer, generations, distinct, prompts in sizes
    ]
