"""Long answers, claim by claim: what is said, whether it is supported, and what the whole is worth."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "aggregation": ["AGGREGATIONS", "aggregate", "strict_verdict"],
        "claim": ["Checker", "Claim", "Extraction", "Extractor", "Said", "Support"],
        "gold": ["GoldChecker", "check_answer", "claims_of"],
        "sentences": ["SentenceExtractor"],
    },
)
