// Elements made of data. Texts of users become text nodes and nothing else.

export const $ = (id) => document.getElementById(id);

// A text that has not changed stays, so that it is not read out again.
export function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Makes the children of `list` those of `lines`, in order; what has not changed stays the element that it is.
export function fill(list, lines, key, make) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const focused = list.contains(document.activeElement) && document.activeElement;
  const line = focused && focused.closest("[data-key]").dataset.key;
  lines.forEach((line, place) => {
    const name = key(line);
    const shown = JSON.stringify(line);
    let child = old.get(name);
    if (child?.dataset.shown !== shown) {
      const made = make(line);
      child?.replaceWith(made);
      child = made;
      child.dataset.key = name;
      child.dataset.shown = shown;
    }
    old.delete(name);
    if (list.children[place] !== child) list.insertBefore(child, list.children[place] ?? null);
  });
  for (const child of [...list.children].slice(lines.length)) child.remove(); // two lines may have the same key
  if (focused && !list.contains(document.activeElement)) {
    const fields = [...([...list.children].find((child) => child.dataset.key === line)?.querySelectorAll("a, button, textarea") ?? [])];
    (fields.find((field) => field.name === focused.name) ?? fields[0])?.focus();
  }
}

export function picture(name) {
  const initials = name.split(/\s+/).filter(Boolean).map((word) => [...word][0]);
  const made = element("span", { class: "picture", "aria-hidden": "true" }, (initials[0] ?? "?") + (initials[1] ?? ""));
  made.style.setProperty("--hue", [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7));
  return made;
}

// An address may have brackets in pairs, and does not end with the mark that ends a sentence.
const ADDRESS = /(https?:\/\/(?:\([^\s()<>"]*\)|[^\s()<>"])*(?:\([^\s()<>"]*\)|[^\s()<>"'.,;:!?\]]))/i;

// The parts of a text: addresses as links, the others as they are.
export const linked = (text) =>
  text
    .split(ADDRESS)
    .map((part, place) =>
      place % 2 && URL.canParse(part) ? element("a", { href: part, target: "_blank", rel: "noopener noreferrer" }, part) : part,
    );

// The table's times are UTC, also those without an offset, and are shown so: as in the terminal.
const instant = (text) => new Date(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);

export function time(text) {
  const when = instant(text);
  if (Number.isNaN(when.getTime())) return element("time", {}, text);
  const isToday = when.toISOString().slice(0, 10) === new Date().toISOString().slice(0, 10);
  const clock = { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "UTC" };
  const day = { day: "numeric", month: "short" };
  const year = when.getUTCFullYear() === new Date().getUTCFullYear() ? {} : { year: "numeric" };
  const shown = new Intl.DateTimeFormat("en-GB", isToday ? clock : { ...day, ...year, ...clock }).format(when);
  return element("time", { datetime: when.toISOString(), title: text }, `${shown} UTC`);
}
