"""Files of benchmarks, in miniature and invented: what each row becomes, and what is said of one that is wrong."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.detectors.loaders import FORMATS, load_pairs
from abstain.evals.detectors.pair import DISTORTED, UNSUPPORTED, Pair

TRUTHFULQA = Path(__file__).resolve().parents[4] / "shared" / "data" / "truthfulqa" / "TruthfulQA.csv"
Row = dict[str, Any]


def lines(path: Path, *rows: Row) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


# --- HaluEval

QA = {"knowledge": "Bo is in Oz.", "question": "Where is Bo?", "right_answer": "Oz", "hallucinated_answer": "In Uz."}
DIALOGUE = {
    "knowledge": "Bo sings.",
    "dialogue_history": "[Human]: Who is Bo? ",
    "right_response": "A singer.",
    "hallucinated_response": "A cook.",
}
SUMMARY = {"document": "Bo sang {all} night.", "right_summary": "Bo sang.", "hallucinated_summary": "Bo slept."}
GENERAL = {"ID": "7", "user_query": "Name a king.", "chatgpt_response": "Bo I.", "hallucination_label": "Yes"}


def test_halueval_gives_each_prompt_both_responses(tmp_path: Path) -> None:
    """Its files are called .json, and hold lines."""
    qa = load_pairs(lines(tmp_path / "qa_data.json", QA, QA | {"knowledge": ""}))
    first = Pair("Where is Bo?", "Oz", ("Bo is in Oz.",), error=False, id="qa_data-1", split="qa")
    assert qa[0] == first
    assert [(pair.response, pair.error, pair.id) for pair in qa[1:]] == [
        ("In Uz.", True, "qa_data-1"),
        ("Oz", False, "qa_data-2"),
        ("In Uz.", True, "qa_data-2"),
    ]
    assert qa[2].documents == ()
    said, lied = load_pairs(lines(tmp_path / "dialogue_data.json", DIALOGUE, DIALOGUE))[:2]
    assert (said.prompt, said.response, said.documents, said.split) == (
        "[Human]: Who is Bo? ", "A singer.", ("Bo sings.",), "dialogue",
    )  # fmt: skip
    assert (lied.response, lied.error) == ("A cook.", True)
    short, _ = load_pairs(lines(tmp_path / "summarization_data.jsonl", SUMMARY))
    assert short.prompt == "Bo sang {all} night.\nSummarize the text above."
    assert (short.response, short.documents, short.split) == ("Bo sang.", ("Bo sang {all} night.",), "summarization")


@pytest.mark.parametrize("label", ["hallucination_label", "hallucination"])
def test_halueval_general_has_one_response_and_a_label(tmp_path: Path, label: str) -> None:
    row = {label if key == "hallucination_label" else key: value for key, value in GENERAL.items()}
    found = load_pairs(lines(tmp_path / "general_data.json", row, row | {label: "no", "chatgpt_response": ""}))
    assert found == [
        Pair("Name a king.", "Bo I.", error=True, id="7", split="general"),
        Pair("Name a king.", "", error=False, id="7", split="general"),
    ]


def test_halueval_as_the_hub_has_it(tmp_path: Path) -> None:
    row = {"knowledge": "Bo is in Oz.", "question": "Where is Bo?", "answer": "In Uz.", "hallucination": "yes"}
    found = load_pairs(lines(tmp_path / "qa.jsonl", row))
    assert found == [Pair("Where is Bo?", "In Uz.", ("Bo is in Oz.",), error=True, id="qa-1", split="qa")]


def test_a_folder_of_several_formats(tmp_path: Path) -> None:
    lines(tmp_path / "qa_data.json", QA, QA)
    lines(tmp_path / "general_data.json", GENERAL, GENERAL)
    assert Counter(pair.split for pair in load_pairs(tmp_path)) == {"qa": 4, "general": 2}


# --- FActScore


def biography(*labels: str | None) -> Row:
    facts = [{"text": f"Bo is {i}.", "label": label} for i, label in enumerate(labels)]
    sentences = [
        {"text": "…", "is-relevant": True, "human-atomic-facts": facts},
        {"text": "…", "is-relevant": False, "human-atomic-facts": None},
    ]
    return {"input": "Question: Tell me a bio of Bo.", "output": "Bo is.", "topic": "Bo", "annotations": sentences}


def test_factscore_responses_are_wrong_if_any_fact_is_unsupported(tmp_path: Path) -> None:
    rows = [biography("S", "S"), biography("S", "NS", "IR"), biography("IR"), biography() | {"annotations": None}]
    unlabelled = {"output": "Cy is.", "topic": "Cy"}
    found = load_pairs(lines(tmp_path / "ChatGPT.jsonl", *rows, unlabelled))
    assert [pair.error for pair in found] == [False, True, None, None, None]
    assert found[0] == Pair("Question: Tell me a bio of Bo.", "Bo is.", error=False, id="Bo")
    assert found[4].prompt == "Question: Tell me a bio of Cy."


def test_factscore_claim_by_claim(tmp_path: Path) -> None:
    found = load_pairs(lines(tmp_path / "ChatGPT.jsonl", biography("S", "IR", "NS"), biography()), unit="claim")
    assert [(pair.response, pair.error, pair.id) for pair in found] == [
        ("Bo is 0.", False, "Bo"),
        ("Bo is 2.", True, "Bo"),
    ]


# --- TruthfulQA

COLUMNS = ("Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source")


def truthful(path: Path, *rows: tuple[str, str, str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for best, right, wrong in rows:
            writer.writerow(("Adversarial", "Law", "May I, Bo?", best, right, wrong, "https://example.org"))
    return path


def test_truthfulqa_has_a_pair_for_each_answer(tmp_path: Path) -> None:
    rows = ("No", "Nobody may; No; I  have no comment; ", "Yes; Of course"), ("No", "No; Unknown", "Yes; Unknown")
    found = load_pairs(truthful(tmp_path / "TruthfulQA.csv", *rows))
    assert [(pair.response, pair.error) for pair in found] == [
        ("No", False), ("Nobody may", False), ("Yes", True), ("Of course", True), ("No", False), ("Yes", True),
    ]  # fmt: skip
    assert found[0] == Pair("May I, Bo?", "No", error=False, id="TruthfulQA-1", split="Law")
    assert {pair.id for pair in found[4:]} == {"TruthfulQA-2"}


def test_truthfulqa_as_the_hub_has_it(tmp_path: Path) -> None:
    row = {"question": "May I?", "best_answer": "No", "correct_answers": ["No", "I have no comment."]}
    wrong = {"incorrect_answers": ["Yes; always"]}
    found = load_pairs(lines(tmp_path / "generation.jsonl", row | wrong))
    assert [(pair.response, pair.error) for pair in found] == [("No", False), ("Yes; always", True)]


@pytest.mark.skipif(not TRUTHFULQA.exists(), reason="the question sets are not here")
def test_truthfulqa_itself() -> None:
    found = load_pairs(TRUTHFULQA)
    with TRUTHFULQA.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({pair.id for pair in found}) == len(rows) == 817
    wrong = [{part.strip() for part in row["Incorrect Answers"].split(";")} - {""} for row in rows]
    right = [{part.strip() for part in row["Correct Answers"].split(";")} for row in rows]
    only = sum(len(said - listed) for said, listed in zip(wrong, right, strict=True))
    assert sum(pair.error is True for pair in found) == only
    assert not any("no comment" in pair.response for pair in found)


# --- RAGTruth

SOURCES = (
    {"source_id": "1", "task_type": "QA", "source": "MARCO", "prompt": "Answer: where is Bo?",
     "source_info": {"question": "where is Bo?", "passages": "passage 1:Bo is in Oz.\n\npassage 2:Cy is not.\n\n"}},
    {"source_id": "2", "task_type": "Summary", "source": "CNN/DM", "prompt": "Summarize: Bo sang.",
     "source_info": "Bo sang.\n"},
    {"source_id": "3", "task_type": "Data2txt", "source": "Yelp", "prompt": "Write of {'name': 'Bo'}",
     "source_info": {"name": "Bö", "hours": None}},
)  # fmt: skip
SPAN = {"start": 0, "end": 2, "text": "Uz", "label_type": "Evident Baseless Info"}


def response(source: str, labels: list[Row], **more: Any) -> Row:
    rest = {"model": "m", "temperature": 0.7, "split": "train", "quality": "good", "response": "Uz."}
    return {"id": f"r{source}", "source_id": source, "labels": labels} | rest | more


def ragtruth(folder: Path, *rows: Row) -> Path:
    lines(folder / "source_info.jsonl", *SOURCES)
    return lines(folder / "response.jsonl", *rows)


def test_ragtruth_joins_responses_and_sources(tmp_path: Path) -> None:
    rows = (response("1", [SPAN]), response("2", [], split="test"), response("3", [], quality="truncated"))
    found = load_pairs(ragtruth(tmp_path / "dataset", *rows))
    assert found == load_pairs(tmp_path / "dataset")
    documents = ("Bo is in Oz.", "Cy is not.")
    assert found[0] == Pair(
        "Answer: where is Bo?", "Uz.", documents, error=True, id="1", split="QA/train", kinds=(UNSUPPORTED,)
    )
    assert [pair.error for pair in found[1:]] == [False, None]
    assert [pair.documents for pair in found[1:]] == [("Bo sang.",), ('{"name": "Bö", "hours": null}',)]
    assert [pair.split for pair in found[1:]] == ["Summary/test", "Data2txt/train"]


def test_ragtruth_tells_what_is_unsupported_from_what_is_distorted(tmp_path: Path) -> None:
    """Four types of spans, evident or subtle; a span of no type is an error of no kind."""
    types = ["Evident Baseless Info", "Subtle Baseless Info", "Evident Conflict", "Subtle Conflict"]
    spans = [SPAN | {"label_type": one} for one in types]
    bare = {key: value for key, value in SPAN.items() if key != "label_type"}
    of = ([spans[0]], [spans[1]], spans[2:], [spans[3], spans[0], spans[1]], [], [bare])
    rows = [response("1", labels) for labels in of]
    found = load_pairs(ragtruth(tmp_path, *rows, response("2", spans, quality="truncated")))
    kinds = [(UNSUPPORTED,), (UNSUPPORTED,), (DISTORTED,), (DISTORTED, UNSUPPORTED), (), (), ()]
    assert [pair.kinds for pair in found] == kinds
    assert [pair.error for pair in found] == [True, True, True, True, False, True, None]


def test_ragtruth_needs_its_sources(tmp_path: Path) -> None:
    file = ragtruth(tmp_path, response("9", []))
    with pytest.raises(ValueError, match=r"response\.jsonl:1: source_id '9' is not in .*source_info\.jsonl"):
        load_pairs(file)
    with pytest.raises(ValueError, match=r"sources, not its responses: give response\.jsonl"):
        load_pairs(tmp_path / "source_info.jsonl")
    file.unlink()
    with pytest.raises(ValueError, match="no responses in this folder"):
        load_pairs(tmp_path)
    (tmp_path / "source_info.jsonl").rename(tmp_path / "elsewhere.jsonl")
    with pytest.raises(ValueError, match=r"need its source_info\.jsonl beside them"):
        load_pairs(lines(tmp_path / "response.jsonl", response("1", [])))


# --- RefChecker


def checked(name: str, *labels: str) -> Row:
    claims = [{"triplet": ["Bo", "is in", label], "human_label": label} for label in labels]
    other = [{"triplet": ["Bo", "is", "Bo"]}]
    return {"id": name, "response": "Bo is.", "claude2_response_kg": claims, "gpt4_response_kg": other}


def test_refchecker_is_strict(tmp_path: Path) -> None:
    rows = [
        checked("1", "Entailment", "Entailment"),
        checked("2", "Entailment", "Neutral"),
        checked("3", "Contradiction", "Entailment"),
        checked("4"),
    ]
    file = tmp_path / "nq_gpt4_answers.json"
    file.write_text(json.dumps(rows, indent=4))
    found = load_pairs(file)
    assert found[0] == Pair("", "Bo is.", error=False, id="1")
    assert [pair.error for pair in found] == [False, True, True, None]
    assert [pair.kinds for pair in found] == [(), (UNSUPPORTED,), (DISTORTED,), ()]
    claims = load_pairs(file, unit="claim")
    assert [pair.kinds for pair in claims[3:]] == [(UNSUPPORTED,), (DISTORTED,), ()]
    assert [(pair.response, pair.error) for pair in claims[:4]] == [
        ("Bo is in Entailment", False),
        ("Bo is in Entailment", False),
        ("Bo is in Entailment", False),
        ("Bo is in Neutral", True),
    ]
    assert len(claims) == 6


def test_refchecker_finds_its_questions_where_its_script_puts_them(tmp_path: Path) -> None:
    """benchmark/human_annotations_v1/zero_context/nq_gpt4_answers.json and benchmark/data/zero_context/nq.json"""
    folder = tmp_path / "human_annotations_v1" / "zero_context"
    folder.mkdir(parents=True)
    (folder / "nq_gpt4_answers.json").write_text(json.dumps([checked("1", "Entailment"), checked("2", "Neutral")]))
    questions = [{"id": "1", "question": "where is Bo", "context": ["Bo is in Oz.", "So is Cy."]}]
    beside = tmp_path / "data" / "zero_context" / "nq.json"
    beside.parent.mkdir(parents=True)
    beside.write_text(json.dumps(questions))
    found = load_pairs(folder)
    assert [(pair.prompt, pair.documents) for pair in found] == [
        ("where is Bo", ("Bo is in Oz.", "So is Cy.")),
        ("", ()),
    ]


# --- anybody's own


def test_the_fields_of_a_pair(tmp_path: Path) -> None:
    whole = {
        "documents": ["Bo sang."],
        "samples": ["Al", "Bo"],
        "logprobs": [-1, -0.5],
        "error": True,
        "kinds": [UNSUPPORTED, DISTORTED],
    }
    rows = ({"prompt": "Who?", "response": "Bo", **whole, "id": 3, "split": "x"}, {"prompt": "Who?", "response": ""})
    found = load_pairs(lines(tmp_path / "mine.jsonl", *rows))
    assert found[0] == Pair(
        "Who?", "Bo", ("Bo sang.",), ("Al", "Bo"), (-1.0, -0.5), True, "3", "x", (DISTORTED, UNSUPPORTED)
    )
    assert found[1] == Pair("Who?", "", id="mine-2")


def test_the_fields_of_a_pair_in_a_table(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    header, row = "prompt,response,samples,logprobs,error", 'Who?,Bo,"[""Al"", ""Bo""]","[-1, -2]",1'
    file.write_text(f"{header}\n{row}\nWho?,Al,Bo,,no\n")
    first, second = load_pairs(file)
    assert (first.samples, first.logprobs, first.error) == (("Al", "Bo"), (-1.0, -2.0), True)
    assert (second.samples, second.logprobs, second.error) == (("Bo",), None, False)


# --- what is wrong is said, with file and line


WHO = {"prompt": "Who?", "response": "Bo"}
ANNOTATED = {key: value for key, value in biography().items() if key != "annotations"}
TORN = {"id": "1", "response": "Bo", "x_response_kg": [{"triplet": ["Bo"], "human_label": "Neutral"}]}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([QA, QA | {"question": " "}], ":2: column 'question' must be a text with something in it, not ' '"),
        ([QA, {"question": "Who?", "knowledge": ""}], ":2: no column 'right_answer'. Allowed:"),
        (
            [GENERAL, GENERAL | {"hallucination_label": "nope"}],
            ":2: hallucination_label is 'nope'. Did you mean 'no'? Allowed: no, yes.",
        ),
        ([biography("S", "SN")], ":1: the label of 'Bo is 1.' is 'SN'. Did you mean 'S'? Allowed: IR, NS, S."),
        ([ANNOTATED | {"annotations": "none"}], ":1: annotations must be a list of objects, not 'none'"),
        (
            [ANNOTATED | {"annotations": [{"human-atomic-facts": [{"label": "S"}]}]}],
            ":1: an atomic fact has no text but 'None'",
        ),
        ([{"question": "Who?", "correct_answers": ["Bo"], "incorrect_answers": []}], ":1: no incorrect answer"),
        ([checked("1", "Entails")], "is 'Entails'. Did you mean 'Entailment'?"),
        ([TORN], ":1: a triplet must be a list of three texts, not"),
        ([WHO | {"error": "maybe"}], ":1: error is 'maybe'. Allowed: 0, 1, false, no, true, yes."),
        (
            [WHO | {"error": False, "kinds": "distorted"}],
            ":1: kinds of error, distorted, of a response whose error is",
        ),
        (
            [WHO | {"error": True, "kinds": ["conflict"]}],
            ":1: a kind of error is 'conflict'. Allowed: distorted, unsup",
        ),
        ([WHO | {"logprobs": [0.5]}], ":1: column 'logprobs' must be a list of natural logarithms, none above 0"),
        ([WHO | {"samples": [1]}], ":1: column 'samples' must be a list of texts, not '[1]'"),
        ([WHO | {"response": None}], ":1: column 'response' must be a text, not 'None'"),
        ([{"prompt": "Who?", "answer": "Bo"}], ":1: columns prompt, answer are of no known format. halueval: "),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, rows: list[Row], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        load_pairs(lines(tmp_path / "file.jsonl", *rows))
    assert message in str(caught.value) and str(caught.value).startswith(str(tmp_path / "file.jsonl"))


def test_bad_sources_and_labels_of_ragtruth(tmp_path: Path) -> None:
    file = ragtruth(tmp_path, response("1", {"start": 0}))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="labels must be a list of objects"):
        load_pairs(file)
    lines(file, response("1", []), response("1", [SPAN | {"label_type": "Evident Conflicts"}]))
    with pytest.raises(ValueError, match=r"\.jsonl:2: label_type is 'Evident Conflicts'\. Did you mean 'Evident Conf"):
        load_pairs(file)
    lines(tmp_path / "source_info.jsonl", SOURCES[0] | {"source_info": []})
    lines(file, response("1", []))
    with pytest.raises(ValueError, match=r"source_info\.jsonl:1: column 'source_info' must be a text or an object"):
        load_pairs(file)


def test_options_that_fit_no_file(tmp_path: Path) -> None:
    file = lines(tmp_path / "qa.jsonl", QA)
    with pytest.raises(ValueError, match=r"no claims are labelled in such files; leave out unit='claim'"):
        load_pairs(file, unit="claim")
    with pytest.raises(ValueError, match="Did you mean 'claim'"):
        load_pairs(file, unit="claims")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Did you mean 'halueval'"):
        load_pairs(file, file_format="halueva")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        load_pairs(tmp_path / "none.jsonl")
    assert load_pairs(file, file_format="halueval") == load_pairs(file)
    assert list(FORMATS)[-1] == "pairs"  # the others may have its columns, too
