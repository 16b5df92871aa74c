// The page: who I am stands in the address (?as=handle), the open conversation as well (#uuid).

import { $, element, fill, linked, picture, say, time } from "./elements.js";
import { get, me, newest, older, post } from "./api.js";
import { compose, showDraft } from "./compose.js";
import { choosePeople, listenToDialog } from "./people.js";
import * as table from "./table.js";

const EVERY = 400;
const EVERY_WHEN_AWAY = 1500;
const FOLLOWED = 20;
const REFUSED = [403, 404, 422];
const NOTHING = { lines: [], next: null };

let people = [];
let inbox = NOTHING;
let messages = NOTHING;
let group = location.hash.slice(1);
const members = new Map();
let refused = ""; // why the open conversation may not be seen
let turn = 0;
let wake = () => {};
let isAtEnd = true;

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
  fill(
    $("inbox"),
    inbox.lines.map((line) => ({ ...line, title: names(line.uuid, line.display_name || "Nobody"), open: line.uuid === group })),
    (line) => line.uuid,
    inboxLine,
  );
  $("inbox-empty").hidden = inbox.lines.length > 0;
  $("inbox-older").hidden = !inbox.next;
  document.body.classList.toggle("is-open", Boolean(group));
  $("open").hidden = !group || Boolean(refused);
  $("none").hidden = Boolean(group);
  $("refused").hidden = !refused;
  say($("refused").firstChild, refused);
  const line = inbox.lines.find((one) => one.uuid === group);
  $("with").textContent = $("with").title = names(group, line?.display_name ?? "");
  drawMembers();
  fill($("messages"), [...messages.lines].reverse(), (message) => `${message.uuid} ${message.created_at}`, messageLine);
  $("older").hidden = !messages.next;
  stayAtEnd();
  if (!$("table").hidden) table.draw();
}

// Two people know who is there; of more, a list says it.
function drawMembers() {
  const there = members.get(group) ?? [];
  $("there").hidden = there.length < 3;
  $("there").ariaLabel = `${there.length} people`;
  $("there").firstChild.textContent = there.length;
  fill($("members").querySelector("ul"), there, (member) => member.display_name + member.handle, ({ handle, display_name }) =>
    element("li", {}, picture(display_name), handle === me ? `${display_name} (you) ` : `${display_name} `, element("small", {}, handle && `@${handle}`)),
  );
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
    element("span", { class: "who", title }, title),
    time(created_at),
    element("span", { class: "preview", title: message }, message),
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
      element("p", { class: "text" }, ...linked(message)),
    ),
  );
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
  const sent = await post("/api/messages", { message_group_uuid: to, message });
  table.asked("C", to, [["PutItem", `MSG#${to}`], ["sk", table.clock(sent.created_at)]]);
  if (to === group) isAtEnd = true;
  wake();
}

function startConversation() {
  const others = people.filter((person) => person.handle !== me);
  choosePeople(others, true, async (handles, message) => {
    const { message_group_uuid: of } = await post("/api/messages", { handle: handles, message });
    table.asked("D", of, [["TransactWriteItems", `MSG#${of}`], [`${handles.length + 1} rows`, "GRP#…"]]);
    return () => (group === of ? openConversation() : location.assign(`#${of}`));
  });
}

function addPeople() {
  const to = group;
  const there = (members.get(to) ?? []).map((member) => member.handle);
  choosePeople(people.filter((person) => !there.includes(person.handle)), false, async (handles) => {
    for (const handle of handles) await post(`/api/message_groups/${encodeURIComponent(to)}/members`, { handle });
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
  const mine = people.find((person) => person.handle === me);
  document.title = `${mine.display_name} · Cruddur messages`;
  addEventListener("hashchange", openConversation);
  compose(send);
  showDraft(group);
  listenToDialog();
  $("start").addEventListener("click", startConversation);
  $("add").addEventListener("click", addPeople);
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
