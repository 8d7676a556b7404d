// The pages of runs. Keys: / searches, j and k go through the list or the steps, o opens a step, u goes up.
// A page with a run that goes on is loaded again, and looks as it did: open steps, focus, place.
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

const opened = () => [...document.querySelectorAll(".steps details")];

function again() {
  const typing = [...document.querySelectorAll("form input")].some((field) => field.value !== field.defaultValue || field.checked !== field.defaultChecked);
  if (typing || document.activeElement?.matches("input")) {
    setTimeout(again, 1000);
    return;
  }
  const open = opened().flatMap((step, place) => (step.open ? [place] : []));
  sessionStorage.setItem(location.href, JSON.stringify({ open, focus: places().indexOf(document.activeElement), y: scrollY }));
  location.reload();
}

const before = JSON.parse(sessionStorage.getItem(location.href) ?? "null");
if (before) {
  sessionStorage.removeItem(location.href);
  for (const place of before.open) opened()[place]?.setAttribute("open", "");
  places()[before.focus]?.focus({ preventScroll: true });
  scrollTo(0, before.y);
}
if (document.querySelector("[data-again]")) setTimeout(again, 1000);
