// The backend's routes, and its refusals in words.

const WORDS = {
  message_blank: "Write something first.",
  message_exceed_max_chars: "The message is too long.",
  not_a_member: "You are not in this conversation.",
  uuid_invalid: "There is no such conversation.",
  user_unknown: "There is nobody of that name.",
  user_reciever_handle_blank: "Choose at least one person.",
  message_unknown: "The message is no longer there.",
  not_the_author: "Only who wrote a message may change it.",
  conversation_of_two: "Nobody is added to a conversation of two, and nobody leaves it. Start a new one.",
  members_too_few: "Choose at least one person.",
  members_too_many: "These are too many people to start with.",
  unauthorized: "Choose who you are.",
  request_entity_too_large: "The message is too long.",
  unavailable: "The table does not answer. Is make up still running? Trying again …",
};
const PATIENCE = 12_000;
const NO_CONTENT = 204;

export const me = new URLSearchParams(location.search).get("as") ?? "";

export class Refusal extends Error {
  constructor(codes, status) {
    super(codes.map((code) => WORDS[code] ?? `The server refused (${code}).`).join(" "));
    this.status = status;
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE), ...options });
  } catch {
    throw new Refusal([], 0);
  }
  const body = response.status === NO_CONTENT ? {} : await response.json().catch(() => null);
  if (!response.ok || body === null) throw new Refusal(body?.errors ?? [`status ${response.status}`], response.status);
  return { body, next: /<([^>]*)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1] ?? null };
}

// A header takes no letters beyond Latin ones, so the handle is encoded.
const login = { "X-Cruddur-User": encodeURIComponent(me) };

export const get = (path) => call(path, { headers: login });

export const change = async (method, path, body) =>
  (
    await call(path, {
      method,
      headers: { ...login, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    })
  ).body;

const later = (one, other) => (one.created_at < other.created_at ? 1 : one.created_at > other.created_at ? -1 : 0);
const END = "\uffff"; // after every time
export const identity = (line) => `${line.uuid} ${line.created_at}`;

// A list that is shown newest page first: `known` is { lines, next, place }, lines newest first. Lines of older pages
// change too, so one of these pages is read again each time, in turn: the one that follows `place`.

// The list with a page in it: all lines that there are between `before` and the page's last line.
function joined(known, before, { body, next }) {
  body.sort(later);
  const read = new Set(body.map((line) => line.uuid));
  const last = next ? body.at(-1).created_at : "";
  const kept = known.lines.filter((line) => !read.has(line.uuid));
  const above = kept.filter((line) => line.created_at >= before);
  const below = kept.filter((line) => line.created_at < last);
  return { lines: [...above, ...body, ...below], next: below.length ? known.next : next };
}

// Reads the newest page, and as many older ones as it takes to join on to what is known. It is read last: a conversation
// that moves to the top meanwhile is in it.
export async function newest(path, known) {
  const again = known.place && (await get(`${path}?${new URLSearchParams({ before: known.place })}`));
  const before = new Set(known.lines.map(identity));
  const page = await get(path);
  while (page.next && before.size && !page.body.some((line) => before.has(identity(line)))) {
    const { body, next } = await get(page.next);
    Object.assign(page, { body: [...page.body, ...body], next });
  }
  const found = joined(again ? joined(known, known.place, again) : known, END, page);
  const end = found.lines.at(-1)?.created_at;
  const place = [again, page].map((one) => one?.body?.at(-1)?.created_at).find((last) => last > end);
  return { ...found, place };
}

export const older = async (known) => joined(known, known.lines.at(-1).created_at, await get(known.next));
