// The page: who I am stands in the address (?as=handle), the open conversation as well (#uuid).

import { $, element, fill, linked, picture, say, time } from "./elements.js";
import { change, get, identity, me, newest, older } from "./api.js";
import { ask, listenToQuestion } from "./ask.js";
import { compose, showDraft } from "./compose.js";
import { beginEdit, editForm, editOf } from "./edit.js";
import { choosePeople, listenToDialog } from "./people.js";
import * as table from "./table.js";

const EVERY = 400;
const EVERY_WHEN_AWAY = 1500;
const FOLLOWED = 20;
const REFUSED = [403, 404, 422];
const NOT_FOUND = 404;
const NOTHING = { lines: [], next: null };
const MANY = 99;

let people = [];
let inbox = NOTHING;
let messages = NOTHING;
let group = location.hash.slice(1);
const members = new Map();
let refused = ""; // why the open conversation may not be seen
let turn = 0;
let wake = () => {};
let isAtEnd = true;
const marked = new Map(); // the newest message that was marked as read, by conversation

const names = (uuid, otherwise) =>
  members.get(uuid)?.filter((member) => member.handle !== me).map((member) => member.display_name).join(", ") || otherwise;

// --- following the table

// One round: inbox, open conversation, rows. What belongs to a conversation that is no longer open is dropped.
async function round() {
  const mine = turn;
  const of = group;
  const [lines, opened] = await Promise.all([newest("/api/message_groups", inbox), conversation(of)]);
  await learnMembers(lines.lines);
  if (mine !== turn) return;
  inbox = lines;
  const isLetIn = refused && !opened.refused;
  ({ page: messages, refused } = opened);
  if (of && !refused) members.set(of, opened.rows.filter((row) => row.handle !== undefined));
  table.asked("B", "", [["Query", `GRP#${people.find((person) => person.handle === me).uuid}`]]);
  if (of && !refused) table.asked("A", of, [["Query", `MSG#${of}`]]);
  table.take(opened.rows, of);
  draw();
  if (isLetIn) focusOpened();
  await markRead();
}

// Who looks elsewhere, or has scrolled up, has not seen the newest message.
const isSeen = () => Boolean(group) && !refused && !document.hidden && isAtEnd;

async function markRead() {
  const of = group;
  const newestShown = messages.lines[0]?.created_at;
  const isKnown = inbox.lines.find((line) => line.uuid === of)?.unread === 0 || marked.get(of) === newestShown;
  if (!isSeen() || !newestShown || isKnown) return;
  await change("PUT", `/api/message_groups/${encodeURIComponent(of)}/read`, { up_to: newestShown });
  marked.set(of, newestShown);
  inbox = { ...inbox, lines: inbox.lines.map((line) => (line.uuid === of ? { ...line, unread: 0 } : line)) };
}

// A conversation that one may not see is no failure: the inbox is there all the same.
async function conversation(of) {
  if (!of) return { page: NOTHING, rows: [], refused: "" };
  const uuid = encodeURIComponent(of);
  try {
    const [page, rows] = await Promise.all([newest(`/api/messages/${uuid}`, messages), get(`/api/rows/${uuid}`)]);
    return { page, rows: rows.body, refused: "" };
  } catch (error) {
    if (!REFUSED.includes(error.status)) throw error;
    return { page: NOTHING, rows: [], refused: error.message };
  }
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
  say($("notice"), text);
  $("notice").hidden = !text;
}

// --- drawing

function draw() {
  const isInMessages = $("messages").contains(document.activeElement);
  const lines = inbox.lines.map((line) => ({
    ...line,
    title: names(line.uuid, line.display_name || "Nobody"),
    open: line.uuid === group,
    unread: line.uuid === group && isSeen() ? 0 : line.unread,
  }));
  fill($("inbox"), lines, (line) => line.uuid, inboxLine);
  drawTitle(lines.reduce((sum, line) => sum + line.unread, 0));
  $("inbox-empty").hidden = inbox.lines.length > 0;
  $("inbox-older").hidden = !inbox.next;
  document.body.classList.toggle("is-open", Boolean(group));
  $("open").hidden = !group || Boolean(refused);
  $("none").hidden = Boolean(group);
  $("refused").hidden = !refused;
  say($("refused").firstChild, refused);
  const line = inbox.lines.find((one) => one.uuid === group);
  $("with").textContent = $("with").title = names(group, line?.display_name ?? "");
  drawMembers(line);
  fill($("messages"), messages.lines.map((message) => ({ ...message, edit: editOf(message) })).reverse(), identity, messageLine);
  if (isInMessages && document.activeElement === document.body) focusOpened();
  $("older").hidden = !messages.next;
  stayAtEnd();
  if (!$("table").hidden) table.draw();
}

const shortened = (number) => (number > MANY ? `${MANY}+` : String(number));

function drawTitle(unread) {
  const mine = people.find((person) => person.handle === me);
  document.title = `${unread ? `(${shortened(unread)}) ` : ""}${mine.display_name} · Cruddur messages`;
}

// Two people know who is there, and stay two until one has left the app; of a group, a list says it. An older group
// becomes one with its next message.
function drawMembers(line) {
  const there = members.get(group) ?? [];
  const canLeave = line?.can_leave ?? there.length > 2;
  $("there").hidden = !canLeave && there.length < 3;
  $("add").hidden = $("leave").hidden = !canLeave;
  $("not-yet").hidden = canLeave;
  if ($("there").hidden || refused) $("members").hidePopover();
  $("there").ariaLabel = there.length === 1 ? "1 person" : `${there.length} people`;
  $("there").firstChild.textContent = there.length;
  fill($("members").querySelector("ul"), there, (member) => member.display_name + member.handle, ({ handle, display_name }) =>
    element("li", {}, picture(display_name), handle === me ? `${display_name} (you) ` : `${display_name} `, element("small", {}, handle && `@${handle}`)),
  );
}

// Who reads the newest message goes on to; who has scrolled up is left there.
function stayAtEnd() {
  if (isAtEnd) $("scroller").scrollTop = $("scroller").scrollHeight;
}

function inboxLine({ uuid, title, message, created_at, open, unread }) {
  const link = element(
    "a",
    { href: `#${uuid}`, class: unread ? "unread" : "", ...(open ? { "aria-current": "page" } : {}) },
    picture(title),
    element("span", { class: "who", title }, title),
    time(created_at),
    element("span", { class: "preview", title: message }, message),
    ...(unread ? [element("span", { class: "count", role: "img", "aria-label": `${shortened(unread)} unread` }, shortened(unread))] : []),
  );
  return element("li", {}, link);
}

function messageLine({ edit, ...line }) {
  const { handle, display_name, message, created_at, edited_at } = line;
  const mine = handle === me;
  const isEdited = edited_at ? [" ", element("small", { title: edited_at }, "edited")] : [];
  return element(
    "li",
    { class: mine ? "mine" : "" },
    picture(display_name),
    element(
      "div",
      { class: "bubble" },
      element("p", { class: "by" }, element("b", {}, mine ? "You" : display_name), " ", time(created_at), ...isEdited, ...(mine && !edit ? [changeButton(line)] : [])),
      edit ? editForm(line, { save, remove, draw }) : element("p", { class: "text" }, ...linked(message)),
    ),
  );
}

function changeButton(message) {
  const button = element("button", { name: "change", type: "button", "aria-label": "Edit or delete", title: "Edit or delete" }, "⋯");
  button.addEventListener("click", () => {
    beginEdit(message);
    draw();
  });
  return button;
}

// --- what a person does

function openConversation() {
  const before = group;
  turn += 1;
  group = location.hash.slice(1);
  messages = NOTHING;
  refused = "";
  isAtEnd = true;
  $("messages").replaceChildren();
  showDraft(group);
  draw();
  focusOpened(before);
  wake();
}

// Where one goes on writing, or back to the line from which one came. The keyboard of a phone would cover the messages.
function focusOpened(before) {
  const field = $(matchMedia("(pointer: coarse)").matches ? "with" : "text");
  const line = document.querySelector(`#inbox a[href="#${CSS.escape(before ?? "")}"]`);
  (group ? field : (line ?? $("start"))).focus();
}

async function send(to, message) {
  const sent = await change("POST", "/api/messages", { message_group_uuid: to, message });
  table.asked("C", to, [["PutItem", `MSG#${to}`], ["sk", table.clock(sent.created_at)]]);
  if (to === group) isAtEnd = true;
  wake();
}

const addressOf = (of, { uuid }) => `/api/messages/${[of, uuid].map(encodeURIComponent).join("/")}`;

// A round that is under way knows nothing of what was changed.
function replace(of, message, ...by) {
  if (of !== group) return;
  turn += 1;
  messages = { ...messages, lines: messages.lines.flatMap((line) => (identity(line) === identity(message) ? by : [line])) };
  draw();
  wake();
}

async function save(message, text) {
  const of = group;
  const edited = await change("PATCH", addressOf(of, message), { created_at: message.created_at, message: text });
  replace(of, message, edited);
}

function remove(message) {
  const of = group;
  ask("Delete this message? Nobody can read it any more.", "Delete", async () => {
    const query = new URLSearchParams({ created_at: message.created_at });
    await change("DELETE", `${addressOf(of, message)}?${query}`).catch((error) => {
      if (error.status !== NOT_FOUND) throw error;
    });
    replace(of, message);
  });
}

function leave() {
  const of = group;
  $("members").hidePopover();
  const isLast = members.get(of)?.length === 1;
  const wayBack = isLast ? "nobody is left who could add you again" : "anybody in it can add you again";
  ask(`Leave this conversation? You cannot read it any more. Your messages stay, and ${wayBack}.`, "Leave", async () => {
    await change("DELETE", `/api/message_groups/${encodeURIComponent(of)}/members/me`);
    turn += 1;
    inbox = { ...inbox, lines: inbox.lines.filter((line) => line.uuid !== of) };
    if (of === group) location.assign("#");
  });
}

function startConversation() {
  const others = people.filter((person) => person.handle !== me);
  choosePeople(others, true, async (handles, message) => {
    const { message_group_uuid: of } = await change("POST", "/api/messages", { handle: handles, message });
    table.asked("D", of, [["TransactWriteItems", `MSG#${of}`], [`${handles.length + 1} rows`, "GRP#…"]]);
    return () => (group === of ? openConversation() : location.assign(`#${of}`));
  });
}

function addPeople() {
  const to = group;
  const there = (members.get(to) ?? []).map((member) => member.handle);
  choosePeople(people.filter((person) => !there.includes(person.handle)), false, async (handles) => {
    for (const handle of handles) await change("POST", `/api/message_groups/${encodeURIComponent(to)}/members`, { handle });
    return wake;
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
  drawTitle(0);
  addEventListener("hashchange", openConversation);
  compose(send);
  showDraft(group);
  listenToDialog();
  listenToQuestion();
  // What had the focus before the question may be gone.
  $("ask").addEventListener("close", () => {
    if (document.activeElement === document.body || $("ask").contains(document.activeElement)) focusOpened();
  });
  $("start").addEventListener("click", startConversation);
  $("add").addEventListener("click", addPeople);
  $("leave").addEventListener("click", leave);
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
