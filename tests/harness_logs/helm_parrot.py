"""A plugin for HELM: `helm-run --plugins helm_parrot --run-entries RUN:model=example/parrot`.

Run in a folder with `questions.json`. The model says what stands there, as surely as it stands there.
"""

import json
from datetime import date
from math import log
from pathlib import Path

from helm.benchmark.adaptation.common_adapter_specs import (
    get_generation_adapter_spec,
    get_multiple_choice_joint_adapter_spec,
    get_multiple_choice_separate_adapter_spec,
)
from helm.benchmark.metrics.common_metric_specs import get_exact_match_metric_specs, get_f1_metric_specs
from helm.benchmark.model_deployment_registry import ClientSpec, ModelDeployment, register_model_deployment
from helm.benchmark.model_metadata_registry import ModelMetadata, register_model_metadata
from helm.benchmark.run_spec import RunSpec, run_spec_function
from helm.benchmark.scenarios.scenario import (
    CORRECT_TAG,
    TEST_SPLIT,
    Input,
    Instance,
    Output,
    Reference,
    Scenario,
    ScenarioSpec,
)
from helm.clients.client import Client
from helm.common.request import GeneratedOutput, RequestResult, Token

ROWS = json.loads(Path("questions.json").read_text())


class Parrot(Client):
    def __init__(self, cache_config=None):
        pass

    def make_request(self, request):
        row = next(row for row in ROWS if row["prompt"] in request.prompt)
        if request.echo_prompt:  # how likely is the choice that the prompt ends in?
            text = request.prompt.split()[-1]
            share = row["shares"][row["choices"].index(text)]
            tokens = [Token(letter, log(share)) for letter in f" {text}"]  # HELM takes the mean
        else:
            letters = {line[3:]: line[0] for line in request.prompt.splitlines() if line[1:3] == ". "}
            text, share = letters.get(row["reply"], row["reply"]), row["sure"]
            tokens = [Token(text, log(share))]
        said = GeneratedOutput(text, log(share), tokens)
        less_likely = [GeneratedOutput("Quito", log(share / 2), tokens)] * (request.num_completions - 1)
        completions = [*less_likely, said]
        return RequestResult(success=True, embedding=[], completions=completions, cached=False, request_time=0.1)


class Capitals(Scenario):
    name, description, tags = "capitals", "Capitals of countries", []

    def __init__(self, choices):
        super().__init__()
        self.choices = choices

    def get_instances(self, output_path):
        return [Instance(Input(row["prompt"]), self.references(row), TEST_SPLIT) for row in ROWS]

    def references(self, row):
        offered = row["choices"] if self.choices else [row["answer"]]
        return [Reference(Output(text), [CORRECT_TAG] if text == row["answer"] else []) for text in offered]


def run_spec(name, adapter, metrics, *, choices):
    scenario = ScenarioSpec("helm_parrot.Capitals", {"choices": choices})
    return RunSpec(name, scenario, adapter, metrics, groups=[])


@run_spec_function("capitals_open")
def capitals_open():
    adapter = get_generation_adapter_spec(max_train_instances=0, max_tokens=20)
    return run_spec("capitals_open", adapter, get_f1_metric_specs(), choices=False)


@run_spec_function("capitals_sampled")
def capitals_sampled():
    adapter = get_generation_adapter_spec(max_train_instances=0, max_tokens=20, num_outputs=3)
    return run_spec("capitals_sampled", adapter, get_f1_metric_specs(), choices=False)


@run_spec_function("capitals_joint")
def capitals_joint():
    adapter = get_multiple_choice_joint_adapter_spec("Answer.", "Question", "Answer", 1, max_train_instances=0)
    return run_spec("capitals_joint", adapter, get_exact_match_metric_specs(), choices=True)


@run_spec_function("capitals_separate")
def capitals_separate():
    adapter = get_multiple_choice_separate_adapter_spec("multiple_choice_separate_original")
    return run_spec("capitals_separate", adapter, get_exact_match_metric_specs(), choices=True)


register_model_metadata(
    ModelMetadata(
        "example/parrot",
        creator_organization_name="Example",
        display_name="Parrot",
        description="Says what it is told to.",
        access="open",
        release_date=date(2026, 1, 1),
        tags=["TEXT_MODEL_TAG", "FULL_FUNCTIONALITY_TEXT_MODEL_TAG"],
        deployment_names=["example/parrot"],
    )
)
register_model_deployment(
    ModelDeployment(
        "example/parrot",
        client_spec=ClientSpec("helm_parrot.Parrot"),
        tokenizer_name="simple/tokenizer1",
        max_sequence_length=2000,
    )
)
