"""What lm-polygraph's estimators say, as JSON: `estimating.py '{"model": FOLDER, "texts": [[ids, start], ...]}'`.

Runs in lm-polygraph's own environment. The estimators are given log-probabilities and eager attention of the plain
forward pass over each text; `start` is where the response begins.
"""

import json
import sys
from typing import Any

import torch
from lm_polygraph.estimators import RAUQ, AttentionScore, MaximumSequenceProbability, Perplexity, SelfCertainty
from transformers import AutoModelForCausalLM


@torch.no_grad()
def statistics_of(model: Any, texts: list[tuple[list[int], int]]) -> dict[str, list[Any]]:
    """The inputs of estimators, one a text."""
    found: dict[str, list[Any]] = {
        name: []
        for name in (
            "greedy_tokens",
            "greedy_log_probs",
            "greedy_log_likelihoods",
            "attention_all",
            "forwardpass_attention_weights",
        )
    }
    for ids, start in texts:
        output = model(torch.tensor([ids]), output_attentions=True)
        logp = output.logits[0, start - 1 : -1].log_softmax(-1).numpy()
        weights = torch.cat(output.attentions).numpy()  # (layers, heads, T, T)
        found["greedy_tokens"].append(ids[start:])
        found["greedy_log_probs"].append(list(logp))
        found["greedy_log_likelihoods"].append([row[token] for row, token in zip(logp, ids[start:], strict=True)])
        found["attention_all"].append(weights[:, :, start:, start:].reshape(-1, *weights[0, 0, start:, start:].shape))
        found["forwardpass_attention_weights"].append(weights)
    return found


def main(folder: str, texts: list[tuple[list[int], int]], layer: int) -> dict[str, list[float]]:
    """Each estimator's value for each text."""
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    stats = statistics_of(model, texts)
    config = model.config
    attention = AttentionScore(layer=layer)
    attention.layer = layer  # 0.7 looks for this name
    estimators = {
        "msp": MaximumSequenceProbability(),
        "perplexity": Perplexity(),
        "self_certainty": SelfCertainty(),
        "rauq": RAUQ(alpha=0.2, n_layers=config.num_hidden_layers, n_heads=config.num_attention_heads),
        "attention": attention,
    }
    return {name: [float(value) for value in estimator(stats)] for name, estimator in estimators.items()}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(main(asked["model"], asked["texts"], asked["layer"])))
