// The switch: which access pattern did what, and the rows of the open conversation as they lie in the table.

import { $, element, fill } from "./elements.js";

const PATTERNS = {
  A: "read a conversation",
  B: "list conversations",
  C: "send a message",
  D: "start a conversation",
  E: "rows move",
};
const seen = Object.fromEntries(Object.keys(PATTERNS).map((letter) => [letter, { letter, times: 0, what: [], of: "" }]));
let rows = [];
let rowsOf = "";
let moved = new Map();

const short = (pk) => pk.replace(/^(\w+#.{8}).*/, "$1…");
export const clock = (sk) => sk.slice(11).replace("+00:00", "");
const moment = (sk) => sk.slice(0, 19).replace("T", " ");
const way = (from, to) => (from.slice(0, 10) === to.slice(0, 10) ? `${clock(from)} → ${clock(to)}` : `${moment(from)} → ${moment(to)}`);

// `of` is the conversation for which the table was asked.
export function asked(letter, of, what) {
  seen[letter] = { letter, of, times: seen[letter].times + 1, what: what.map(([name, key]) => [name, short(key)]) };
}

// Compares with the rows as they were: what has another sort key has moved.
export function take(newRows, of) {
  const isSame = rowsOf === of;
  const places = new Map(rows.map((row) => [row.pk, row.sk]));
  const now = isSame ? newRows.filter((row) => row.handle !== undefined && (places.get(row.pk) ?? row.sk) !== row.sk) : [];
  if (now.length) {
    moved = new Map(now.map((row) => [row.pk, places.get(row.pk)]));
    asked("E", of, now.map((row) => [short(row.pk), way(moved.get(row.pk), row.sk)]));
  }
  if (!isSame) moved = new Map();
  rows = newRows;
  rowsOf = of;
}

export function draw() {
  const patterns = Object.values(seen).map((pattern) => ({ ...pattern, isNew: pattern.times > 0 && pattern.of === rowsOf && !["A", "B"].includes(pattern.letter) }));
  fill($("patterns").tBodies[0], patterns, (pattern) => pattern.letter, patternRow);
  const shown = rows.map((row) => ({ ...row, was: row.handle === undefined ? undefined : moved.get(row.pk) }));
  fill($("rows").tBodies[0], shown, (row) => `${row.pk} ${row.handle === undefined ? row.sk : ""}`, tableRow);
}

function patternRow({ letter, times, what, isNew }) {
  const count = element("td", {}, element("small", {}, times ? `${times}×` : ""));
  const lines = what.map(([call, key]) => element("div", {}, `${call} `, element("code", {}, key)));
  const cell = element("td", {}, ...(lines.length ? lines : [element("small", {}, "not yet")]));
  return element("tr", isNew ? { class: "new" } : {}, element("th", { scope: "row" }, letter), element("td", {}, PATTERNS[letter]), count, cell);
}

function tableRow({ pk, sk, message, display_name, was }) {
  const owner = display_name === undefined ? [] : [element("small", {}, display_name)];
  const place = was === undefined ? [] : [element("del", {}, was), element("span", { "aria-label": "moved to" }, " → ")];
  return element(
    "tr",
    was === undefined ? {} : { class: "new" },
    element("td", { title: pk }, element("code", {}, short(pk)), ...owner),
    element("td", {}, ...place, element("code", {}, sk)),
    element("td", { class: "text" }, message),
  );
}
