// Filters, searches and pages through the examples. Whatever a model wrote is only ever set as text.
"use strict";
(() => {
  const PAGE = 25;
  const NAMES = { CORRECT: "right", INCORRECT: "wrong", ABSTAINED: "abstained", UNGRADED: "ungraded" };
  const section = document.getElementById("examples");
  const source = document.getElementById("examples-data");
  if (!section || !source) return;
  const data = JSON.parse(source.textContent);
  const { rows, sides, strings, questions, targets, verdicts } = data;
  const count = rows.question.length;
  const find = (id) => document.getElementById(id);
  const search = find("search"), target = find("target"), order = find("order");
  const start = String(data.start);
  const state = { cell: null, page: 0, shown: [], words: [] };

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // --- which rows ---------------------------------------------------------------------------------------------------

  const lower = strings.map((text) => text.toLowerCase());

  function containing(word) {
    const hit = Uint8Array.from(lower, (text) => (text.includes(word) ? 1 : 0));
    const asked = questions.map(([question, gold]) => hit[question] || hit[gold]);
    return (row) =>
      asked[rows.question[row]] ||
      sides.some((side) => {
        const completion = rows[side].completion[row];
        return hit[rows[side].said[row]] || (completion >= 0 && hit[completion]);
      });
  }

  function matching() {
    const tests = state.words.map(containing);
    if (target.value !== "") tests.push((row) => rows.target[row] === Number(target.value));
    const found = [];
    for (let row = 0; row < count; row++) if (tests.every((test) => test(row))) found.push(row);
    return found;
  }

  function inCell(row) {
    return sides.every((side, place) => state.cell[place] === null || rows[side].verdict[row] === state.cell[place]);
  }

  function sorted(found) {
    if (order.value === "asked") return found;
    const confidence = rows[sides[0]].confidence;
    const sign = order.value === "surest" ? -1 : 1;
    const known = found.filter((row) => confidence[row] >= 0);
    return known.sort((a, b) => sign * (confidence[a] - confidence[b]) || a - b);
  }

  // --- what became of what ------------------------------------------------------------------------------------------

  const present = verdicts.map((_, v) => v).filter((v) => sides.some((side) => rows[side].verdict.includes(v)));

  function drawCells(found) {
    const box = find("cells");
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.cell : null;
    const table = make("table", "cells");
    const caption = make("caption", "", sides.length > 1 ? "From before training (rows) to after (columns)" : "Verdict");
    const head = table.createTHead().insertRow();
    if (sides.length > 1) head.append(make("td"));
    for (const v of present) head.append(columnHead(NAMES[verdicts[v]]));
    const sizes = {};
    for (const row of found) {
      const cell = sides.map((side) => rows[side].verdict[row]).join("-");
      sizes[cell] = (sizes[cell] || 0) + 1;
    }
    for (const before of sides.length > 1 ? present : [null]) {
      const line = table.insertRow();
      if (before !== null) {
        const heading = make("th", "", NAMES[verdicts[before]]);
        heading.scope = "row";
        line.append(heading);
      }
      for (const after of present) {
        const cell = before === null ? [after] : [before, after];
        line.append(cellOf(cell, sizes[cell.join("-")] || 0, found.length));
      }
    }
    table.prepend(caption);
    box.replaceChildren(table);
    if (focused) box.querySelector(`[data-cell="${focused}"]`)?.focus();
  }

  function columnHead(name) {
    const heading = make("th", "", name);
    heading.scope = "col";
    return heading;
  }

  function cellOf(cell, size, whole) {
    const button = make("button", "", size.toLocaleString("en"));
    const pressed = state.cell !== null && state.cell.join() === cell.join();
    const what = cell.map((v, place) => `${sides.length > 1 ? sides[place] + " " : ""}${NAMES[verdicts[v]]}`).join(", ");
    button.type = "button";
    button.dataset.cell = cell.join("-");
    button.setAttribute("aria-pressed", String(pressed));
    button.setAttribute("aria-label", `${size} ${what}: show only these`);
    button.style.setProperty("--share", whole ? (size / whole).toFixed(3) : "0");
    button.disabled = size === 0 && !pressed;
    button.addEventListener("click", () => { state.cell = pressed ? null : cell; update(); });
    const place = make("td");
    place.append(button);
    return place;
  }

  // --- one page of them ---------------------------------------------------------------------------------------------

  function marked(text) {
    const box = make("bdi");
    const word = state.words.find((one) => text.toLowerCase().includes(one));
    if (!word || text.toLowerCase().length !== text.length) { box.textContent = text; return box; }
    const at = text.toLowerCase().indexOf(word);
    box.append(text.slice(0, at), make("mark", "", text.slice(at, at + word.length)), text.slice(at + word.length));
    return box;
  }

  function answer(side, row) {
    const place = make("td", "answer");
    const column = rows[side];
    place.dataset.label = sides.length > 1 ? side : "answer";
    if (column.verdict[row] < 0) { place.append(make("span", "none", "not asked")); return place; }
    const verdict = verdicts[column.verdict[row]];
    const text = strings[column.said[row]];
    place.append(make("span", `verdict ${verdict.toLowerCase()}`, NAMES[verdict]), " ");
    place.append(text ? marked(text) : make("span", "none", "nothing"));
    return place;
  }

  function draw(row) {
    const line = make("tr");
    const [question, gold] = questions[rows.question[row]];
    const asked = make("td", "asked");
    const more = make("button", "more");
    more.type = "button";
    more.setAttribute("aria-expanded", "false");
    more.append(marked(strings[question]));
    asked.append(more);
    const right = make("td", "gold");
    right.dataset.label = "gold";
    right.append(marked(strings[gold]));
    const told = make("td", "told", String(targets[rows.target[row]]));
    told.dataset.label = "t";
    line.append(asked, right, told, ...sides.map((side) => answer(side, row)));
    more.addEventListener("click", () => toggle(more, line, row));
    return line;
  }

  function toggle(button, line, row) {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) { line.nextElementSibling.remove(); return; }
    const whole = make("tr", "whole");
    const place = make("td");
    place.colSpan = 3 + sides.length;
    for (const side of sides) if (rows[side].verdict[row] >= 0) place.append(completion(side, row));
    whole.append(place);
    line.after(whole);
  }

  function completion(side, row) {
    const column = rows[side];
    const box = make("div");
    const sure = column.confidence[row] < 0 ? "" : `, best guess ${column.confidence[row]} % sure`;
    box.append(make("h4", "", `${sides.length > 1 ? side : "completion"}${sure}`));
    const text = strings[column.completion[row] < 0 ? column.said[row] : column.completion[row]];
    const quote = make("blockquote");
    quote.append(text ? marked(text) : make("span", "none", "an empty completion"));
    box.append(quote);
    return box;
  }

  function drawPage() {
    const pages = Math.max(1, Math.ceil(state.shown.length / PAGE));
    state.page = Math.min(Math.max(0, state.page), pages - 1);
    const from = state.page * PAGE;
    const here = state.shown.slice(from, from + PAGE);
    find("rows").replaceChildren(...here.map(draw));
    const of = state.shown.length.toLocaleString("en");
    const range = `${(from + 1).toLocaleString("en")}–${(from + here.length).toLocaleString("en")} of ${of}`;
    find("count").textContent = here.length ? range : "No answer fits: search for less, or clear the filters.";
    find("previous").disabled = state.page === 0;
    find("next").disabled = state.page === pages - 1;
    find("clear").hidden = !(state.cell || search.value || target.value !== start || order.value !== "asked");
  }

  function update() {
    state.words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = matching();
    drawCells(found);
    state.shown = sorted(state.cell ? found.filter(inCell) : found);
    state.page = 0;
    drawPage();
  }

  function turn(by) { state.page += by; drawPage(); find("answers").scrollIntoView({ block: "nearest" }); }

  targets.forEach((t, place) => { const one = make("option", "", `t = ${t}`); one.value = place; target.append(one); });
  target.value = start;
  let waiting;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(update, 80); });
  target.addEventListener("change", update);
  order.addEventListener("change", update);
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  find("clear").addEventListener("click", () => {
    search.value = "";
    target.value = start;
    order.value = "asked";
    state.cell = null;
    update();
    search.focus();
  });
  section.hidden = false;
  update();
})();
