"""Completions as a trie: every distinct prefix is computed once, in sampling and in scoring."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"continuing": ["complete"], "sampling": ["SamplingRule", "sample"]}
)
