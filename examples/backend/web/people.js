// The dialog in which people are chosen: for a new conversation, or to join the open one.

import { $, element } from "./elements.js";
import { limit, submitOnEnter } from "./compose.js";

let asked = {};

const countFirst = () => limit($("first-text"), $("first-left"), $("dialog-ok"));

function lock(isLocked) {
  for (const field of $("dialog-form").elements) field.readOnly = isLocked;
}

// `confirmed(handles, message)` does what was chosen, and returns what is done when the dialog has closed.
export function choosePeople(others, isNew, confirmed) {
  asked = { confirmed, isUnderWay: false };
  lock(false);
  const isPossible = others.length > 0;
  $("dialog-title").textContent = isNew ? "New conversation" : "Add people";
  $("choice-legend").textContent = isNew ? "With whom?" : "Who joins?";
  $("dialog-ok").textContent = isNew ? "Start" : "Add";
  $("dialog-error").textContent = isPossible ? "" : isNew ? "There is nobody else yet." : "Everybody is here already.";
  $("choice").hidden = $("dialog-ok").hidden = !isPossible;
  $("first").hidden = !isNew || !isPossible;
  $("add-hint").hidden = isNew || !isPossible;
  $("first-text").value = "";
  countFirst();
  $("people").replaceChildren(
    ...others.map(({ handle, display_name }) =>
      element("label", {}, element("input", { type: "checkbox", value: handle }), ` ${display_name} `, element("small", {}, `@${handle}`)),
    ),
  );
  $("dialog").showModal();
}

async function confirmPeople(event) {
  event.preventDefault();
  const handles = [...$("people").querySelectorAll(":checked")].map((box) => box.value);
  $("dialog-error").textContent = handles.length ? "" : "Choose at least one person.";
  const mine = asked;
  if (mine.isUnderWay || !handles.length) return;
  mine.isUnderWay = true;
  lock(true);
  try {
    const afterwards = await mine.confirmed(handles, $("first-text").value.trim());
    if (mine !== asked) return; // it was cancelled, and the dialog is open for something else
    $("dialog").close();
    afterwards();
  } catch (error) {
    if (mine !== asked) return;
    $("dialog-error").textContent = error.message || "The server does not answer. Your text is still here: try again.";
  }
  mine.isUnderWay = false;
  lock(false);
}

export function listenToDialog() {
  submitOnEnter($("first-text"));
  $("first-text").addEventListener("input", countFirst);
  $("cancel").addEventListener("click", () => $("dialog").close());
  $("dialog-form").addEventListener("submit", confirmPeople);
}
