"""A model and tasks for lighteval: `lighteval custom parrot THIS_FILE TASKS --custom-tasks THIS_FILE`.

Run in a folder with `questions.json`. The model says what stands there.
"""

import json
from math import log
from pathlib import Path

from lighteval.metrics.dynamic_metrics import LogLikelihoodAccMetric
from lighteval.metrics.metrics import Metrics
from lighteval.metrics.normalizations import LogProbCharNorm
from lighteval.models.abstract_model import LightevalModel
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc
from lighteval.utils.cache_management import SampleCache

ROWS = {row["prompt"]: row for row in json.loads(Path("questions.json").read_text())}


class Parrot(LightevalModel):
    tokenizer = add_special_tokens = None
    max_length = 1000

    def __init__(self, config):
        self.config = config
        self._cache = SampleCache(config)  # the pipeline asks for one

    def greedy_until(self, docs):
        return [ModelResponse(input=doc.query, text=said(doc.query, doc.num_samples)) for doc in docs]

    def loglikelihood(self, docs):
        shares = [ROWS[doc.query]["shares"] for doc in docs]
        return [
            ModelResponse(input=doc.query, logprobs=[log(p) for p in ps], argmax_logits_eq_gold=[False] * len(ps))
            for doc, ps in zip(docs, shares, strict=True)
        ]

    def loglikelihood_rolling(self, docs):
        raise NotImplementedError


def said(query, times):
    """The same every time but the last of several."""
    return [ROWS[query]["reply"]] * max(1, times - 1) + ["Quito"] * (times > 1)


def open_question(row, task_name):
    return Doc(task_name=task_name, query=row["prompt"], choices=[row["answer"]], gold_index=0)


def choice(row, task_name):
    return Doc(
        task_name=task_name,
        query=row["prompt"],
        choices=row["choices"],
        gold_index=row["choices"].index(row["answer"]),
    )


def task(name, rows, prompt_function, metric):
    splits = ["train"]  # what `datasets` calls the only split of a local file
    return LightevalTaskConfig(
        name, prompt_function, rows, "default", [metric], hf_avail_splits=splits, evaluation_splits=splits
    )


TASKS_TABLE = [
    task("capitals_open", "plain_rows", open_question, Metrics.exact_match),
    task("capitals_stated", "stated_rows", open_question, Metrics.exact_match),
    task("capitals_sampled", "plain_rows", open_question, Metrics.avg_at_n(sample_params={"n": 3})),
    task("capitals_choice", "plain_rows", choice, Metrics.loglikelihood_acc),
    task("capitals_norm", "plain_rows", choice, LogLikelihoodAccMetric(LogProbCharNorm())),
]
