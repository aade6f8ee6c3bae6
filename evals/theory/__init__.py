"""What *Why Language Models Hallucinate* proves, measured: its bounds on a model, on its corpus and on our rewards."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "calibration": ["threshold_gap"],
        "candidates": ["candidate_logprobs"],
        "facts": ["ArbitraryFacts", "good_turing", "singleton_rate"],
        "incentives": ["Payoff", "payoff_of"],
        "measuring": ["measure_theory"],
        "poor": ["NGram", "optimal_error"],
        "reduction": ["PromptMass", "Reduction", "is_it_valid"],
        "tables": ["render_theory"],
    },
)
