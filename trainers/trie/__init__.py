"""Rollouts as a trie: every distinct prefix of a group's completions is sampled and trained once."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "trainer": ["TrieGRPOTrainer", "TrieRLOOTrainer"],
    },
)
