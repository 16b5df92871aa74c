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
export const identity = (line) => `${line.uuid} ${line.created_at}`;

// A list that is shown newest page first: `known` is { lines, next }, lines newest first.
// Reads the newest page, and as many older ones as it takes to join on to what is known.
export async function newest(path, known) {
  const before = new Set(known.lines.map(identity));
  let { body: lines, next } = await get(path);
  while (next && before.size && !lines.some((line) => before.has(identity(line)))) {
    const page = await get(next);
    lines = [...lines, ...page.body];
    next = page.next;
  }
  lines.sort(later);
  if (!before.size || !next) return { lines, next };
  const read = new Set(lines.map((line) => line.uuid));
  const oldest = lines.at(-1).created_at;
  const older = known.lines.filter((line) => line.created_at < oldest && !read.has(line.uuid));
  return { lines: [...lines, ...older], next: known.next };
}

export async function older(known) {
  const { body, next } = await get(known.next);
  const read = new Set(known.lines.map((line) => line.uuid));
  return { lines: [...known.lines, ...body.filter((line) => !read.has(line.uuid)).sort(later)], next };
}
