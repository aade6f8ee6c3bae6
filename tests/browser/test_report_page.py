"""The report in a real browser: it can be searched, filtered and paged, is quick, and runs no script but its own."""

import json
import random
from itertools import pairwise
from pathlib import Path

import pytest

from abstain.evals.metrics.measuring import measure
from abstain.evals.records import Record, write_records, write_text
from abstain.recipes.report.page import write_report
from abstain.rewards.verdict import Verdict

pytestmark = pytest.mark.slow
TARGETS = (0.0, 0.5, 0.9)
QUESTIONS = 4_000
HOSTILE = (
    "<img src=x onerror=\"document.title='hacked'\">",
    "</script><script>document.title='hacked'</script>",
    "\u202edrawkcab\u202d",
    "\x00\x07\x1b[2J",
    "y" * 1_000_000,
    "Z\u0335\u0321" * 200,
)


def make_run(path: Path) -> Path:
    """12,000 answers before and after, the first ones hostile."""
    rng = random.Random(0)
    before, after = [], []
    for i in range(QUESTIONS):
        text = HOSTILE[i] if i < len(HOSTILE) else rng.choice(("Lima", "Oslo", "Rome"))
        knows, sure = rng.random() < 0.5, 0.6 if i < len(HOSTILE) else rng.random()
        for t in TARGETS:
            row = {"id": f"q{i}", "task": "toy", "question": f"Where is person {i}?", "gold": ("Lima",), "target": t}
            verdict = Verdict.CORRECT if knows else Verdict.INCORRECT
            before.append(Record(**row, prompt="", completion=text, answer=text, verdict=verdict, confidence=sure))
            abstained = t > 0 and not knows
            said = "I don't know" if abstained else text
            verdict = Verdict.ABSTAINED if abstained else verdict
            answer = "" if abstained else said
            after.append(Record(**row, prompt="", completion=said, answer=answer, verdict=verdict, confidence=0.9))
    for folder, records in ((path / "before", before), (path, after)):
        write_records(folder / "records.jsonl", records)
        write_text(folder / "metrics.json", json.dumps(measure(records, model="m", task="toy")))
    write_text(path / "recipe.yaml", "name: toy\nseed: 0\nrl: {}\n")
    write_text(path / "state.json", '{"complete": ["before", "rl", "after"]}')
    return path


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    return write_report(make_run(tmp_path_factory.mktemp("run") / "toy"))


@pytest.fixture
def page(chrome, report):
    """The report as it is opened; whatever a test does, it must not have made the page complain."""
    chrome.open(report)
    yield chrome
    assert chrome.complaints() == [], "no error, no refused script, no request"
    assert "hacked" not in chrome.run("document.title")


def count(page) -> str:
    return page.run("document.getElementById('count').textContent")


def shown(page) -> int:
    return page.run("document.querySelectorAll('#rows > tr:not(.whole)').length")


def choose(page, field: str, value: str) -> None:
    page.run(f"(e => {{ e.value = '{value}'; e.dispatchEvent(new Event('change')); }})({field})")


def test_it_fits_the_file_and_shows_one_page_of_answers(page, report):
    assert report.stat().st_size < 5_000_000
    assert count(page) == "1–25 of 4,000" and shown(page) == 25
    assert page.run("document.getElementById('target').selectedOptions[0].text") == "t = 0.5"


def test_paging(page):
    first = page.run("document.querySelector('#rows .more').textContent")
    page.click("#next")
    assert count(page) == "26–50 of 4,000"
    assert page.run("document.querySelector('#rows .more').textContent") != first
    assert not page.run("document.getElementById('previous').disabled")
    page.click("#previous")
    assert count(page) == "1–25 of 4,000" and page.run("document.getElementById('previous').disabled")


def test_searching(page):
    page.type("#search", "PERSON 3999")
    page.wait_for("document.getElementById('count').textContent === '1–1 of 1'")
    assert page.run("document.querySelector('#rows mark').textContent") == "person"
    page.type("#search", "nobody at all")
    page.wait_for("document.getElementById('count').textContent.startsWith('No answer fits')")
    page.click("#clear")
    assert count(page) == "1–25 of 4,000" and page.run("document.activeElement.id") == "search"


def test_choosing_what_became_of_what(page):
    cell = '[data-cell="1-2"]'  # wrong before, abstained after
    expected = page.run(f"document.querySelector('{cell}').textContent")
    page.click(f"#cells {cell}")
    assert count(page) == f"1–25 of {expected}"
    chips = page.run("[...document.querySelectorAll('#rows .verdict')].map(e => e.textContent).join()")
    assert set(chips.split(",")) == {"wrong", "abstained"}
    assert page.run(f"document.querySelector('{cell}').getAttribute('aria-pressed')") == "true"
    assert page.run("document.activeElement.dataset.cell") == "1-2", "the keyboard stays where it was"
    page.click(f"#cells {cell}")
    assert count(page) == "1–25 of 4,000"


def test_other_targets_and_orders(page):
    choose(page, "target", "")
    assert count(page) == "1–25 of 12,000"
    choose(page, "target", "0")
    page.click("#cells [data-cell='0-0']")
    assert page.run("[...document.querySelectorAll('#rows .told')].every(e => e.textContent === '0')")
    for order, sure in (("surest", "best guess 100 % sure"), ("unsurest", "best guess 0 % sure")):
        choose(page, "document.getElementById('order')", order)
        page.click("#rows .more")
        assert sure in page.run("document.querySelector('.whole').textContent")


def test_a_click_on_a_question_shows_the_completion(page):
    page.click("#rows tr:nth-child(5) .more")  # the one of a million letters
    assert page.run("document.querySelectorAll('.whole').length") == 1
    text = page.run("document.querySelector('.whole').textContent")
    assert "best guess 60 % sure" in text and "(1,000,000 characters)" in text and len(text) < 2_000
    page.click("#rows tr:nth-child(5) .more")
    assert page.run("document.querySelectorAll('.whole').length") == 0


def test_hostile_answers_are_letters(page):
    choose(page, "target", "0")
    text = page.run("document.getElementById('rows').textContent")
    assert "<img src=x onerror=" in text and "</script><script>" in text
    assert "‹U+202E›drawkcab" in text and "␀␇␛[2J" in text
    assert page.run("document.querySelectorAll('#rows img, #rows script').length") == 0
    assert page.run("document.documentElement.scrollWidth") <= 1200


def test_12000_answers_do_not_lag(page):
    choose(page, "target", "")
    for text in ("p", "pe", "person 1", "person 12 lima", "i don't know", "nobody", ""):
        before = page.cpu_seconds()
        page.run(f"document.getElementById('search').value = {json.dumps(text)}")
        page.run("document.getElementById('order').dispatchEvent(new Event('change'))")
        page.run("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        assert page.cpu_seconds() - before < 0.2, f"after typing {text!r}"  # a tenth of that, usually


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1200])
def test_it_fits_the_window_in_both_themes(chrome, report, width, dark):
    chrome.open(report, width=width, dark=dark)
    assert chrome.run("document.documentElement.scrollWidth") <= width
    paper = chrome.run("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(25, 27, 29)" if dark else "rgb(251, 250, 247)")
    ink = chrome.run("getComputedStyle(document.querySelector('svg.plot text')).fill")
    assert ink in (("rgb(160, 159, 154)", "rgb(228, 226, 221)") if dark else ("rgb(99, 104, 109)", "rgb(35, 39, 43)"))
    assert chrome.complaints() == []


def test_everything_can_be_reached_and_has_a_name(page):
    nameless = """[...document.querySelectorAll('button, input, select, svg.plot, [tabindex]')].filter(e =>
        !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).length"""
    assert page.run(nameless) == 0
    levels = page.run("[...document.querySelectorAll('h1,h2,h3')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in pairwise(levels))
    assert page.run("document.documentElement.lang") == "en"


def test_an_injected_script_would_not_run(chrome, report, tmp_path):
    """Even if something slipped through the escaping, the page's own policy stops it."""
    hacked = tmp_path / "hacked.html"
    text = report.read_text().replace(
        "</main>", "<script>document.title='hacked'</script><img src='http://x.test/'></main>"
    )
    hacked.write_text(text)
    chrome.open(hacked)
    assert "hacked" not in chrome.run("document.title")
    assert count(chrome) == "1–25 of 4,000", "our own script runs"
