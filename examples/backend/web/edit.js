// One's own messages are edited in place: each keeps what was typed until it is saved or the edit is cancelled.

import { element } from "./elements.js";
import { identity } from "./api.js";
import { limit, submitOnEnter } from "./compose.js";

const edits = new Map();

// What is shown of an edit beside its text, undefined if there is none.
export function editOf(message) {
  const { error, isOnItsWay } = edits.get(identity(message)) ?? {};
  return error === undefined ? undefined : { error, isOnItsWay };
}

export const beginEdit = (message) => edits.set(identity(message), { text: message.message, error: "", isOnItsWay: false });

// `save(message, text)` and `remove(message)` change it; `draw()` shows what has changed.
export function editForm(message, { save, remove, draw }) {
  const mine = edits.get(identity(message));
  const button = (name, label, type = "button") => element("button", { name, type }, label);
  const [removal, cancel, ok] = [button("delete", "Delete …"), button("cancel", "Cancel"), button("save", "Save", "submit")];
  const hint = "Enter saves it, Shift+Enter begins a line, Escape cancels.";
  const text = element("textarea", { name: "text", rows: 1, "aria-label": "Your message", title: hint }, mine.text);
  const left = element("p");
  const error = element("p", { class: "error", role: "alert" }, mine.error);
  const form = element("form", { class: "edit" }, text, left, error, element("div", { class: "buttons" }, removal, cancel, ok));
  const end = () => {
    edits.delete(identity(message));
    draw();
  };
  text.readOnly = mine.isOnItsWay;
  text.setSelectionRange(mine.text.length, mine.text.length);
  limit(text, left, ok);
  submitOnEnter(text);
  text.addEventListener("input", () => {
    mine.text = text.value;
    limit(text, left, ok);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) end();
  });
  cancel.addEventListener("click", end);
  removal.addEventListener("click", () => remove(message));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (mine.isOnItsWay) return;
    if (mine.text.trim() === message.message) return end();
    Object.assign(mine, { isOnItsWay: true, error: "" });
    draw();
    try {
      await save(message, mine.text.trim());
      edits.delete(identity(message));
    } catch (failure) {
      mine.error = failure.message || "The server does not answer. Your text is still here: try again.";
    }
    mine.isOnItsWay = false;
    draw();
  });
  return form;
}
