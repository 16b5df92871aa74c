// The page: who I am stands in the address (?as=handle), the open conversation as well (#uuid).

import { $, element, fill, picture, time } from "./elements.js";
import { get, me, newest, older, post } from "./api.js";
import * as table from "./table.js";

const EVERY = 400;
const EVERY_WHEN_AWAY = 1500;
const FOLLOWED = 20;
const MOST_CHARACTERS = 1024;
const NOTHING = { lines: [], next: null };

let people = [];
let inbox = NOTHING;
let messages = NOTHING;
let group = location.hash.slice(1);
const members = new Map();
let rowsOf = "";
let turn = 0;
let wake = () => {};
let sending = false;
let isAtEnd = true;

const characters = (text) => [...text].length;
const names = (uuid, otherwise) =>
  members.get(uuid)?.filter((member) => member.handle !== me).map((member) => member.display_name).join(", ") || otherwise;

// --- following the table

// One round: inbox, open conversation, rows. What belongs to a conversation that is no longer open is dropped.
async function round() {
  const mine = turn;
  const of = group;
  const [lines, page, rows] = await Promise.all([
    newest("/api/message_groups", inbox),
    of ? newest(`/api/messages/${encodeURIComponent(of)}`, messages) : NOTHING,
    of ? get(`/api/rows/${encodeURIComponent(of)}`) : { body: [] },
  ]);
  await learnMembers(lines.lines);
  if (mine !== turn) return;
  inbox = lines;
  messages = page;
  if (of) members.set(of, rows.body.filter((row) => row.handle !== undefined));
  table.asked("B", [["Query", `GRP#${people.find((person) => person.handle === me).uuid}`]]);
  if (of) table.asked("A", [["Query", `MSG#${of}`]]);
  table.take(rows.body, rowsOf === of);
  rowsOf = of;
  draw();
}

// A row names one other person, and does not change when somebody joins: who is there is asked for the first lines
// each time, and once for the others.
async function learnMembers(lines) {
  const asked = lines.filter((line, place) => place < FOLLOWED || !members.has(line.uuid));
  if (!asked.length) return;
  const found = await get(`/api/members?${new URLSearchParams(asked.map((line) => ["of", line.uuid]))}`);
  for (const [uuid, people] of Object.entries(found.body)) members.set(uuid, people);
}

async function follow() {
  for (;;) {
    let pause = EVERY;
    const mine = turn;
    try {
      await round();
      notice("");
    } catch (error) {
      if (mine === turn) notice(error.message || "The server does not answer. Trying again …");
      pause = EVERY_WHEN_AWAY;
    }
    await new Promise((done) => {
      wake = done;
      setTimeout(done, pause);
    });
  }
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// --- drawing

function draw() {
  fill(
    $("inbox"),
    inbox.lines.map((line) => ({ ...line, title: names(line.uuid, line.display_name || "Nobody"), open: line.uuid === group })),
    (line) => line.uuid,
    inboxLine,
  );
  $("inbox-empty").hidden = inbox.lines.length > 0;
  $("inbox-older").hidden = !inbox.next;
  document.body.classList.toggle("is-open", Boolean(group));
  $("open").hidden = !group;
  $("none").hidden = Boolean(group);
  const line = inbox.lines.find((one) => one.uuid === group);
  $("with").textContent = names(group, line?.display_name ?? "");
  fill($("messages"), [...messages.lines].reverse(), (message) => `${message.uuid} ${message.created_at}`, messageLine);
  $("older").hidden = !messages.next;
  stayAtEnd();
  if (!$("table").hidden) table.draw();
}

// Who reads the newest message goes on to; who has scrolled up is left there.
function stayAtEnd() {
  if (isAtEnd) $("scroller").scrollTop = $("scroller").scrollHeight;
}

function inboxLine({ uuid, title, message, created_at, open }) {
  const link = element(
    "a",
    { href: `#${uuid}`, ...(open ? { "aria-current": "page" } : {}) },
    picture(title),
    element("span", { class: "who" }, title),
    time(created_at),
    element("span", { class: "preview" }, message),
  );
  return element("li", {}, link);
}

function messageLine({ handle, display_name, message, created_at }) {
  const mine = handle === me;
  return element(
    "li",
    { class: mine ? "mine" : "" },
    picture(display_name),
    element(
      "div",
      { class: "bubble" },
      element("p", { class: "by" }, element("b", {}, mine ? "You" : display_name), " ", time(created_at)),
      element("p", { class: "text" }, message),
    ),
  );
}

// --- what a person does

function openConversation() {
  turn += 1;
  group = location.hash.slice(1);
  messages = NOTHING;
  isAtEnd = true;
  $("send-error").textContent = "";
  $("messages").replaceChildren();
  draw();
  wake();
}

// Nobody presses twice on what is under way, and an error is said where it belongs.
async function attempt(form, errorPlace, work) {
  if (sending) return;
  sending = true;
  $(errorPlace).textContent = "";
  const fields = [...form.elements];
  for (const field of fields) field.readOnly = true;
  try {
    await work();
  } catch (error) {
    $(errorPlace).textContent = error.message || "The server does not answer. Your text is still here: try again.";
  } finally {
    sending = false;
    for (const field of fields) field.readOnly = false;
  }
  wake();
}

function sendMessage(event) {
  event.preventDefault();
  const text = $("text").value.trim();
  return attempt($("send"), "send-error", async () => {
    const to = group;
    const sent = await post("/api/messages", { message_group_uuid: to, message: text });
    table.asked("C", [["PutItem", `MSG#${to}`], ["sk", table.clock(sent.created_at)]]);
    $("text").value = "";
    countCharacters();
    isAtEnd = true;
  });
}

function countCharacters() {
  const left = MOST_CHARACTERS - characters($("text").value.trim());
  $("left").textContent = left < 100 ? `${left} characters left` : "";
  $("left").classList.toggle("error", left < 0);
}

function choosePeople(isNew) {
  const there = isNew ? [me] : (members.get(group) ?? []).map((member) => member.handle);
  const others = people.filter((person) => !there.includes(person.handle));
  $("dialog-title").textContent = isNew ? "New conversation" : "Add people";
  $("dialog-error").textContent = others.length ? "" : "Everybody is here already.";
  $("first").hidden = !isNew;
  $("first-text").value = "";
  $("people").replaceChildren(
    ...others.map(({ handle, display_name }) =>
      element("label", {}, element("input", { type: "checkbox", value: handle }), ` ${display_name} `, element("small", {}, `@${handle}`)),
    ),
  );
  $("dialog").dataset.isNew = isNew ? "yes" : "";
  $("dialog").showModal();
}

function chosenPeople(event) {
  event.preventDefault();
  const handles = [...$("people").querySelectorAll(":checked")].map((box) => box.value);
  return attempt($("dialog-form"), "dialog-error", async () => {
    if ($("dialog").dataset.isNew) {
      const started = await post("/api/messages", { handle: handles, message: $("first-text").value.trim() });
      table.asked("D", [["TransactWriteItems", `MSG#${started.message_group_uuid}`], [`${handles.length + 1} rows`, "GRP#…"]]);
      location.hash = started.message_group_uuid;
    } else {
      for (const handle of handles) await post(`/api/message_groups/${encodeURIComponent(group)}/members`, { handle });
    }
    $("dialog").close();
  });
}

async function showOlder(button, load) {
  button.disabled = true;
  try {
    await load();
    draw();
  } catch (error) {
    notice(error.message || "The server does not answer. Trying again …");
  } finally {
    button.disabled = false;
  }
}

async function olderMessages() {
  const mine = turn;
  const read = await older(messages);
  if (mine !== turn) return;
  turn += 1; // a round that is under way knows nothing of these
  messages = read;
  const scroller = $("scroller");
  const fromBottom = scroller.scrollHeight - scroller.scrollTop;
  draw();
  scroller.scrollTop = scroller.scrollHeight - fromBottom;
}

async function olderConversations() {
  const read = await older(inbox);
  turn += 1;
  inbox = read;
}

// --- beginning

async function begin() {
  for (;;) {
    try {
      people = (await get("/api/users")).body;
      break;
    } catch (error) {
      notice(error.message || "The server does not answer. Trying again …");
      await new Promise((done) => setTimeout(done, EVERY_WHEN_AWAY));
    }
  }
  notice("");
  const chosen = people.some((person) => person.handle === me);
  $("me").append(
    ...(chosen ? [] : [element("option", { value: "" }, "choose …")]),
    ...people.map(({ handle, display_name }) => element("option", { value: handle }, `${display_name} (@${handle})`)),
  );
  $("me").value = chosen ? me : "";
  $("me").addEventListener("change", () => location.assign(`?as=${encodeURIComponent($("me").value)}`));
  if (!chosen) {
    document.body.classList.add("is-nobody");
    $("none").replaceChildren(
      element("b", {}, me ? `There is nobody called @${me}. Who are you?` : "Who are you?"),
      ...people.slice(0, 12).map(({ handle, display_name }) =>
        element("a", { class: "person", href: `?as=${encodeURIComponent(handle)}` }, picture(display_name), display_name),
      ),
    );
    return;
  }
  const mine = people.find((person) => person.handle === me);
  document.title = `${mine.display_name} · Cruddur messages`;
  addEventListener("hashchange", openConversation);
  $("send").addEventListener("submit", sendMessage);
  $("text").addEventListener("input", countCharacters);
  $("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) sendMessage(event);
  });
  $("start").addEventListener("click", () => choosePeople(true));
  $("add").addEventListener("click", () => choosePeople(false));
  $("cancel").addEventListener("click", () => $("dialog").close());
  $("dialog-form").addEventListener("submit", chosenPeople);
  let top = 0;
  $("scroller").addEventListener("scroll", ({ target }) => {
    const hasGoneUp = target.scrollTop < top;
    top = target.scrollTop;
    isAtEnd = target.scrollHeight - top - target.clientHeight < 40 || (isAtEnd && !hasGoneUp);
  });
  new ResizeObserver(stayAtEnd).observe($("scroller"));
  $("older").addEventListener("click", (event) => showOlder(event.target, olderMessages));
  $("inbox-older").addEventListener("click", (event) => showOlder(event.target, olderConversations));
  $("rows-switch").addEventListener("change", () => {
    $("table").hidden = !$("rows-switch").checked;
    draw();
  });
  await follow();
}

begin();
