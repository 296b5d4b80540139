/* A part of a page that is updated waits while the pointer moves on a link, a button or a field of it, at most 3 seconds:
   nothing moves away under a click. Without this file the parts are updated at once. */
"use strict";

const LONGEST_MS = 3000, RESTS_AFTER_MS = 1000, CHECKED_EVERY_MS = 50;
let movedAt = 0;

document.addEventListener("pointermove", () => { movedAt = Date.now(); }, { passive: true });

function isAimedAt(part) {
  return Date.now() - movedAt < RESTS_AFTER_MS
    && part.querySelector("a:hover, button:hover, summary:hover, input:hover, select:hover") !== null;
}

async function untilSteady(part) {
  const end = Date.now() + LONGEST_MS;
  while (isAimedAt(part) && Date.now() < end) await new Promise((done) => setTimeout(done, CHECKED_EVERY_MS));
}

document.addEventListener("htmx:config:request", (event) => {
  const context = event.detail.ctx, part = context.sourceElement;
  context.fetch = async (address, options) => {
    await untilSteady(part);
    return window.fetch(address, options);
  };
});
