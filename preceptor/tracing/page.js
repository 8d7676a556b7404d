// Keys of the pages of runs: / searches, j and k go through the list or the steps, o opens a step, u goes up.
"use strict";

const places = () => [...document.querySelectorAll(".runs a, .steps summary, .tape li")];

function step(by) {
  const all = places();
  const now = all.indexOf(document.activeElement);
  const next = all[Math.min(Math.max(now + by, 0), all.length - 1)];
  if (next) {
    if (next.tabIndex < 0) next.tabIndex = 0;
    next.focus();
  }
}

const keys = {
  "/": () => document.getElementById("search")?.focus(),
  j: () => step(1),
  k: () => step(-1),
  o: () => document.activeElement?.closest("summary")?.click(),
  u: () => document.querySelector("nav a")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const wanted = keys[event.key];
  if (wanted) {
    event.preventDefault();
    wanted();
  }
});
