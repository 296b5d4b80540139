/* Keys for every page, buttons that print, and the time zone of this machine. Without this file all pages work: the
   search has a page of its own, browsers print, and the page of the account sets a time zone. */
"use strict";

let prefixedUntil = 0;

function placeOf(path) {
  return document.documentElement.dataset.prefix + path;
}

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

document.cookie = "browser-zone=" + Intl.DateTimeFormat().resolvedOptions().timeZone
  + "; path=/; max-age=31536000; samesite=lax" + (window.location.protocol === "https:" ? "; secure" : "");

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
  for (const hint of document.querySelectorAll(".no-script")) hint.hidden = true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const keys = document.getElementById("keys");
  const search = document.getElementById("q") || document.getElementById("search");
  if (event.key === "/" && search) {
    event.preventDefault();
    if (search.offsetParent === null) { window.location.assign(placeOf("/search")); return; }
    search.focus();
    search.select();
  } else if (event.key === "?" && keys) {
    event.preventDefault();
    if (!keys.open) keys.showModal();
  } else if (event.key === "g") {
    prefixedUntil = Date.now() + 1500;
  } else if (Date.now() < prefixedUntil) {
    const place = document.querySelector(`.rail a[data-key="${CSS.escape(event.key)}"]`);
    prefixedUntil = 0;
    if (place) window.location.assign(place.href);
  }
});
