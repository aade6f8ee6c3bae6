"""lm-polygraph's estimators and our scores say the same of the same texts, where both have the same score.

lm-polygraph has an environment of its own, `build/polygraph`, which `make polygraph` makes; without it these tests are
skipped. Where it reports another number of the same thing, the equation between both is what is tested.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from abstain.evals.detectors.one_pass import OnePass, one_pass
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.spans import encode_pairs

from ..conftest import save_tiny_model

PYTHON = Path(__file__).parents[2] / "build" / "polygraph" / "bin" / "python"
LAYER = 3  # from 0
PAIRS = (
    Pair("Where was Ada born?", "Lima Oslo Rome Cairo"),
    Pair("Where was Bo born?", "Cairo Ada"),
    Pair("Ada", "Bo Cy Di Ed Flo Gus Hal Lima Oslo"),
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON.parents[1].joinpath(".installed").is_file(),
        reason="lm-polygraph has no environment of its own: run `make polygraph`",
    ),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, np.ndarray], OnePass, OnePass]:
    """Theirs, ours of responses, and ours of whole texts; of a random model of six layers."""
    folder = save_tiny_model(tmp_path_factory.mktemp("polygraph") / "tiny")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = LlamaConfig.from_pretrained(folder, num_hidden_layers=6)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    spans, _ = encode_pairs(PAIRS, tokenizer)
    asked = {"model": str(folder), "texts": [[span.ids, span.start] for span in spans], "layer": LAYER}
    command = [str(PYTHON), str(Path(__file__).with_name("estimating.py")), json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = {name: np.array(values) for name, values in json.loads(done.stdout.splitlines()[-1]).items()}
    return theirs, one_pass(model, tokenizer, PAIRS), one_pass(model, tokenizer, PAIRS, span="whole")


@pytest.mark.parametrize("name", ["msp", "self_certainty"])
def test_the_same_number(name: str, both: tuple[dict[str, np.ndarray], OnePass, OnePass]) -> None:
    theirs, ours, _ = both
    np.testing.assert_allclose(theirs[name], ours.values[name], atol=1e-4, rtol=1e-4)


def test_perplexity_is_told_as_its_logarithm(both: tuple[dict[str, np.ndarray], OnePass, OnePass]) -> None:
    theirs, ours, _ = both
    np.testing.assert_allclose(theirs["perplexity"], np.log(ours.values["perplexity"]), atol=1e-4)


def test_rauq_is_one_more(both: tuple[dict[str, np.ndarray], OnePass, OnePass]) -> None:
    """They add 1 to the paper's u."""
    theirs, ours, _ = both
    np.testing.assert_allclose(theirs["rauq"] - 1, ours.values["rauq"], atol=1e-4)


def test_attention_is_a_negative_sum_over_tokens(both: tuple[dict[str, np.ndarray], OnePass, OnePass]) -> None:
    """Theirs is −Σⱼ, ours the mean: prompt and response together, averaged over heads."""
    theirs, _, whole = both
    tokens = np.array([len(pair.prompt.split()) + len(pair.response.split()) for pair in PAIRS])
    np.testing.assert_allclose(-theirs["attention"] / tokens, whole.values["attention"][:, LAYER], atol=1e-4)
