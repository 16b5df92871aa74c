// What is being written: each conversation has a draft of its own, with its error, and is sent to from there.

import { $ } from "./elements.js";

const MOST_CHARACTERS = 1024;
const drafts = new Map();
let open = "";

function draft(of) {
  if (!drafts.has(of)) drafts.set(of, { text: "", error: "", isOnItsWay: false });
  return drafts.get(of);
}

export function showDraft(of) {
  open = of;
  const { text, error, isOnItsWay } = draft(of);
  if ($("text").value !== text) $("text").value = text;
  $("text").readOnly = isOnItsWay;
  $("send-error").textContent = error;
  limit($("text"), $("left"), $("send-button"));
}

// Says how many characters are left before the button is of no use.
export function limit(text, place, button) {
  const left = MOST_CHARACTERS - [...text.value.trim()].length;
  place.textContent = left < 0 ? `Characters too many: ${-left}` : left < 100 ? `Characters left: ${left}` : "";
  place.classList.toggle("error", left < 0);
  button.disabled = left < 0;
}

export function submitOnEnter(text) {
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    text.form.requestSubmit();
  });
}

// `send(of, text)` sends to a conversation. Nobody presses twice on what is under way.
export function compose(send) {
  submitOnEnter($("text"));
  $("text").addEventListener("input", () => {
    draft(open).text = $("text").value;
    showDraft(open);
  });
  $("send").addEventListener("submit", async (event) => {
    event.preventDefault();
    const to = open;
    const mine = draft(to);
    if (mine.isOnItsWay) return;
    Object.assign(mine, { isOnItsWay: true, error: "" });
    showDraft(open);
    try {
      await send(to, mine.text.trim());
      mine.text = "";
    } catch (error) {
      mine.error = error.message || "The server does not answer. Your text is still here: try again.";
    }
    mine.isOnItsWay = false;
    showDraft(open);
  });
}
