// The question before what cannot be taken back.

import { $ } from "./elements.js";

let asked = {};

// `action` is done if the answer is yes; the question stays open until that has succeeded.
export function ask(question, yes, action) {
  asked = { action, isUnderWay: false };
  $("ask-question").textContent = question;
  $("ask-yes").textContent = yes;
  $("ask-error").textContent = "";
  $("ask").showModal();
}

export function listenToQuestion() {
  $("ask-no").addEventListener("click", () => $("ask").close());
  $("ask-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const mine = asked;
    if (mine.isUnderWay) return;
    mine.isUnderWay = true;
    try {
      await mine.action();
      if (mine === asked) $("ask").close();
    } catch (error) {
      if (mine === asked) $("ask-error").textContent = error.message || "The server does not answer. Try again.";
    }
    mine.isUnderWay = false;
  });
}
