"use strict";
// Rows come sorted; verdicts go to the server that shows the page or, opened as a file, stay in this browser.
const data = JSON.parse(document.getElementById("data").textContent);
const served = location.protocol.startsWith("http");
const at = id => document.getElementById(id);
const rows = data.rows.map((row, place) => ({...row, place}));
const byName = new Map(rows.map(row => [row.scan, row]));
const kept = `verdicts of ${data.folder}`;
let shown = [], here = null, said = new Map();

const make = (tag, values = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), values);
  element.append(...children.filter(child => child !== null));
  return element;
};
const storage = {  // may be forbidden
  get: key => { try { return localStorage.getItem(key); } catch { return null; } },
  set: (key, value) => { try { localStorage.setItem(key, value); } catch { trouble("This browser keeps nothing: press Save verdicts before you leave."); } },
};
function trouble(text) { at("trouble").hidden = !text; at("trouble").textContent = text; }

// Verdicts: of each scan the last word of each reviewer on the result that is shown.
let own = JSON.parse(storage.get(kept) || "[]");
function learn(verdicts) {
  said = new Map();
  for (const verdict of [...verdicts].sort((a, b) => a.time < b.time ? -1 : 1)) {
    if (byName.get(verdict.scan)?.result !== verdict.result) continue;
    if (!said.has(verdict.scan)) said.set(verdict.scan, new Map());
    said.get(verdict.scan).set(verdict.reviewer, verdict);
  }
  rows.forEach(draw);
  count();
}
const sayings = row => [...(said.get(row.scan)?.values() ?? [])].filter(verdict => verdict.say !== "nothing");
const same = (a, b) => a.say === b.say && a.by === b.by && a.levels.join() === b.levels.join();
const disputed = row => { const all = sayings(row); return all.some(one => !same(one, all[0])); };
const mine = row => said.get(row.scan)?.get(at("reviewer").value);

async function say(row, what) {
  if (!row || row.failed !== undefined) return false;
  if (!at("reviewer").value.trim()) { trouble("Write your name into Reviewer first."); at("reviewer").focus(); return false; }
  const before = mine(row);
  const verdict = {scan: row.scan, result: row.result, reviewer: at("reviewer").value, time: new Date().toISOString(),
                   say: "nothing", by: 0, levels: [], note: before?.note ?? "", ...what};
  if (served) {
    try {
      const answer = await fetch("verdicts", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(verdict)});
      if (!answer.ok) throw new Error(await answer.text());
    } catch (error) { trouble(`Not saved: ${error.message}`); return false; }
  } else {
    own.push(verdict);
    storage.set(kept, JSON.stringify(own));
  }
  trouble("");
  if (!said.has(row.scan)) said.set(row.scan, new Map());
  said.get(row.scan).set(verdict.reviewer, verdict);
  draw(row);
  count();
  if (here === row) detail();
  return true;
}
// Says it and goes on to the next scan.
const sayAndGo = async what => { const row = here; if (await say(row, what) && here === row) step(1); };
function shift(row, by) {
  const before = mine(row);
  const steps = (before?.say === "shift" ? before.by : 0) + by;
  if (!steps) return say(row, {say: "nothing"});
  if (row.shifts?.[steps]) return say(row, {say: "shift", by: steps});
  trouble(`The names cannot be shifted by ${steps}: the column ends before that, or it is too far; press e to write them.`);
}
function others(row) {
  const text = prompt("Names from the head down", now(row).join(" "));
  if (text === null) return;
  const levels = text.trim().toUpperCase().split(/[\s,]+/);
  const ranks = levels.map(level => data.column.indexOf(level));
  if (levels.length !== Object.keys(row.confidences).length) return trouble(`${Object.keys(row.confidences).length} names are needed, not ${levels.length}.`);
  if (ranks.some((rank, i) => rank < 0 || rank <= (ranks[i - 1] ?? -1))) return trouble("The names must be C1 ... L6 or T13, from the head down, each once.");
  say(row, {say: "names", levels});
}
function note(row) {
  const before = mine(row);
  const text = prompt("Note", before?.note ?? "");
  if (text !== null) say(row, {say: before?.say ?? "nothing", by: before?.by ?? 0, levels: before?.levels ?? [], note: text});
}
// The names as they will be after what was said.
function now(row) {
  const verdict = mine(row);
  if (verdict?.say === "shift") return row.shifts[verdict.by];
  return verdict?.say === "names" ? verdict.levels : Object.keys(row.confidences);
}
function words(verdict) {
  if (verdict.say === "shift") return `names ${Math.abs(verdict.by)} ${verdict.by > 0 ? "down" : "up"}`;
  return {right: "right", wrong: "wrong", names: "other names", nothing: ""}[verdict.say];
}
function summary(row) {
  if (row.failed !== undefined) return ["failed", "failed"];
  if (disputed(row)) return ["disputed", "reviewers disagree"];
  const [one] = sayings(row);
  if (one) return [one.say, words(one)];
  return row.review ? ["applied", `${row.review.verdict}, applied`] : ["", ""];
}
const range = levels => levels.length > 1 ? `${levels[0]} – ${levels.at(-1)} (${levels.length})` : levels[0] ?? "no vertebra";

// Pictures are loaded when they come near: a thousand at once would be too many.
const near = new IntersectionObserver(found => found.filter(one => one.isIntersecting).forEach(({target}) => {
  target.src = target.dataset.src;
  near.unobserve(target);
}), {root: at("rows"), rootMargin: "600px"});
function picture(row) {
  const image = make("img", {decoding: "async", alt: ""});
  image.dataset.src = row.picture;
  near.observe(image);
  return image;
}
// The list: one element per scan, made once, moved and hidden afterwards.
function element(row) {
  const failed = row.failed !== undefined;
  row.said = make("span", {className: "said"});
  row.element = make("li", {onclick: () => go(row)},
    failed ? make("span", {className: "none"}) : picture(row),
    make("b", {textContent: row.scan}), row.said,
    make("span", {className: "levels", textContent: failed ? row.failed : range(Object.keys(row.confidences))}), make("span"),
    make("span", {className: `small ${row.names}`, textContent: failed ? "" : `names ${row.names}${row.probability === null ? "" : ` ${Math.round(100 * row.probability)} %`}, lowest ${Math.round(100 * row.lowest)} %`}),
    make("span", {className: "small", textContent: row.warnings?.length ? `⚠ ${row.warnings.length}` : ""}));
  row.text = [row.scan, ...Object.keys(row.confidences ?? {}), ...(row.warnings ?? []), row.failed ?? ""].join(" ").toLowerCase();
  return row.element;
}
function draw(row) {
  const [kind, text] = summary(row);
  if (row.said.textContent !== text) row.said.textContent = text;
  row.said.className = `said ${kind}`;
}
const filters = {
  all: () => true,
  open: row => row.failed === undefined && !sayings(row).length && !row.review,
  doubtful: row => row.names === "doubtful" || row.names === "unknown",
  warned: row => row.warnings?.length,
  said: row => sayings(row).length || row.review,
  wrong: row => sayings(row).some(verdict => verdict.say === "wrong"),
  disputed,
  failed: row => row.failed !== undefined,
};
const orders = {
  doubt: (a, b) => a.place - b.place,
  scan: (a, b) => a.scan < b.scan ? -1 : 1,
  lowest: (a, b) => (a.lowest ?? 2) - (b.lowest ?? 2) || a.place - b.place,
};
function list() {
  const wanted = filters[at("filter").value], text = at("search").value.trim().toLowerCase();
  rows.sort(orders[at("order").value]);
  // What is being looked at stays in the list, also when it was just reviewed.
  shown = rows.filter(row => wanted(row) && row.text.includes(text));
  const visible = new Set(shown);
  rows.forEach(row => { row.element.hidden = !visible.has(row); });
  at("rows").append(...rows.map(row => row.element));
  count();
  if (!visible.has(here)) go(shown[0] ?? null);
}
function count() {
  const done = rows.filter(row => sayings(row).length || row.review).length;
  at("count").textContent = `${done} of ${rows.length} reviewed, ${shown.length} shown`;
  at("save").hidden = served || !own.length;
}
function go(row) {
  here?.element.classList.remove("here");
  here = row;
  row?.element.classList.add("here");
  row?.element.scrollIntoView({block: "nearest"});
  detail();
}
function step(by) {
  const place = shown.indexOf(here);
  const next = shown[Math.min(Math.max(place + by, 0), shown.length - 1)];
  if (next && next !== here) go(next);
}

function detail() {
  const box = at("detail"), row = here;
  box.replaceChildren();
  if (!row) { box.append(make("p", {textContent: "Nothing to show."})); return; }
  box.append(make("h2", {textContent: row.scan}), make("div", {className: "small", textContent: row.path}));
  if (row.failed !== undefined) { box.append(make("p", {className: "failed", textContent: row.failed})); return; }
  const names = make("p", {}, make("span", {className: row.names, textContent: row.sentence || "The labelling states no verdict on the names."}));
  if (row.probability !== null) names.append(` ${Math.round(100 * row.probability)} %`);
  if (row.second) names.append(`; or ${range(row.second.levels)}, ${Math.round(100 * row.second.probability)} %`);
  if (row.evidence.length) names.append(` — ${row.evidence.join(", ")}`);
  const verdict = mine(row), press = (text, key, does, on) => make("button", {textContent: `${text} (${key})`, className: on ? "on" : "", onclick: does});
  const actions = make("div", {id: "actions"},
    press("right", "r", () => say(row, {say: "right"}), verdict?.say === "right"),
    press("names up", "u", () => shift(row, -1), verdict?.say === "shift" && verdict.by < 0),
    press("names down", "d", () => shift(row, 1), verdict?.say === "shift" && verdict.by > 0),
    row.second ? press("second reading", "2", () => second(row), verdict?.say === "names") : null,
    press("other names", "e", () => others(row), verdict?.say === "names"),
    press("wrong", "w", () => say(row, {say: "wrong"}), verdict?.say === "wrong"),
    press("note", "n", () => note(row), Boolean(verdict?.note)),
    make("button", {textContent: "open in Slicer", onclick: () => slicer(row)}));
  const after = now(row).join() === Object.keys(row.confidences).join() ? "" : `becomes ${now(row).join(" ")}`;
  box.append(names, actions);
  for (const one of sayings(row)) box.append(make("div", {className: `said ${one.say}`, textContent: `${one.reviewer}: ${words(one)}${one.note ? ` — ${one.note}` : ""}`}));
  if (verdict?.say === "nothing" && verdict.note) box.append(make("div", {textContent: `${verdict.reviewer}: ${verdict.note}`}));
  if (row.review) box.append(make("div", {className: "said", textContent: `${row.review.verdict}, applied ${row.review.time.slice(0, 10)}`}));
  box.append(make("div", {className: "said", textContent: after}), make("div", {id: "opened"}),
    make("img", {src: row.picture, alt: `sagittal and coronal picture of ${row.scan}`}));
  if (row.warnings.length) box.append(make("ul", {}, ...row.warnings.map(text => make("li", {textContent: text}))));
  box.append(table(row));
}
function table(row) {
  const measured = new Map(row.measures.map(one => [one.label, one]));
  const columns = Object.keys(row.measures[0] ?? {}).filter(name => name !== "label" && name !== "confidence");
  const cell = (tag, text) => make(tag, {textContent: text});
  return make("table", {},
    make("tr", {}, ...["vertebra", "confidence", ...columns].map(name => cell("th", name.replaceAll("_", " ")))),
    ...Object.entries(row.confidences).map(([level, confidence]) => make("tr", {}, cell("th", level),
      cell("td", confidence.toFixed(2)), ...columns.map(name => cell("td", measured.get(level)?.[name] ?? "")))));
}
const second = row => row.second && say(row, {say: "names", levels: row.second.levels});
async function slicer(row) {
  let path = `${data.output}/cohort/review/${row.scan}.py`;
  if (served) {
    const answer = await fetch("slicer", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({scan: row.scan})});
    if (!answer.ok) return trouble(await answer.text());
    path = await answer.text();
  } else download(`${row.scan}.py`, data.script.replaceAll("@SCAN@", JSON.stringify(row.scan)));
  at("opened").replaceChildren("Written; open it with ", make("code", {textContent: `Slicer --python-script "${path}"`}));
}
function download(name, text) {
  const link = make("a", {download: name, href: URL.createObjectURL(new Blob([text], {type: "text/plain"}))});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const keys = {
  ArrowDown: () => step(1), ArrowUp: () => step(-1), j: () => step(1), k: () => step(-1),
  r: () => sayAndGo({say: "right"}),
  w: () => sayAndGo({say: "wrong"}),
  u: () => shift(here, -1), d: () => shift(here, 1), 2: () => second(here),
  e: () => others(here), n: () => note(here), z: () => say(here, {say: "nothing", note: ""}),
};
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (!here || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});
for (const id of ["filter", "order", "search"]) at(id).addEventListener("input", list);
at("save").onclick = () => download(`verdicts-${at("reviewer").value}.jsonl`, own.map(one => JSON.stringify(one) + "\n").join(""));
at("reviewer").value = data.reviewer || storage.get("reviewer") || "";
at("reviewer").addEventListener("change", () => { storage.set("reviewer", at("reviewer").value); if (here) detail(); });

at("rows").append(...rows.map(element));
learn([...data.verdicts, ...(served ? [] : own)]);
list();
if (served) setInterval(async () => {
  try { learn(await (await fetch("verdicts")).json()); } catch { trouble("The review command has ended: nothing is saved any more."); }
}, 5000);
