// The switch: which access pattern did what, and the rows of the open conversation as they lie in the table.

import { $, element, fill } from "./elements.js";

const PATTERNS = {
  A: "read a conversation",
  B: "list the conversations",
  C: "send a message",
  D: "start a conversation",
  E: "the stream function moves the rows",
};
const seen = Object.fromEntries(Object.keys(PATTERNS).map((letter) => [letter, { letter, times: 0, what: "" }]));
let rows = [];
let moved = new Map();

const short = (pk) => pk.replace(/^(\w+#.{8}).*/, "$1…");
const clock = (sk) => sk.slice(11).replace("+00:00", "");

export function asked(letter, what, times = 1) {
  seen[letter] = { letter, times: seen[letter].times + times, what: what.map(([name, key]) => [name, short(key)]) };
}

// Compares with the rows as they were: what has another sort key has moved.
export function take(newRows, isSame) {
  const places = new Map(rows.map((row) => [row.pk, row.sk]));
  const now = isSame ? newRows.filter((row) => row.handle !== undefined && (places.get(row.pk) ?? row.sk) !== row.sk) : [];
  if (now.length) {
    moved = new Map(now.map((row) => [row.pk, places.get(row.pk)]));
    seen.E = {
      letter: "E",
      times: seen.E.times + 1,
      what: now.map((row) => [`${row.display_name}:`, `${clock(moved.get(row.pk))} → ${clock(row.sk)}`]),
    };
  }
  if (!isSame) moved = new Map();
  rows = newRows;
}

export function draw() {
  fill($("patterns").tBodies[0], Object.values(seen), (pattern) => pattern.letter, patternRow);
  const shown = rows.map((row) => ({ ...row, was: row.handle === undefined ? undefined : moved.get(row.pk) }));
  fill($("rows").tBodies[0], shown, (row) => `${row.pk} ${row.handle === undefined ? row.sk : ""}`, tableRow);
}

function patternRow({ letter, times, what }) {
  const name = element("td", {}, PATTERNS[letter], ...(times ? [element("small", {}, ` ${times}×`)] : []));
  const lines = what.map(([call, key]) => element("div", {}, `${call} `, element("code", {}, key)));
  const cell = element("td", {}, ...(lines.length ? lines : [element("small", {}, "not yet")]));
  return element("tr", times ? { class: letter === "A" || letter === "B" ? "" : "new" } : {}, element("th", { scope: "row" }, letter), name, cell);
}

function tableRow({ pk, sk, message, display_name, was }) {
  const owner = display_name === undefined ? [] : [element("small", {}, ` ${display_name}`)];
  const place = was === undefined ? [] : [element("del", {}, was), element("span", { "aria-label": "moved to" }, " → ")];
  return element(
    "tr",
    was === undefined ? {} : { class: "new" },
    element("td", { title: pk }, element("code", {}, short(pk)), ...owner),
    element("td", {}, ...place, element("code", {}, sk)),
    element("td", { class: "text" }, message),
  );
}
