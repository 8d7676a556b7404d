// The page to label answers. Keys: g good, b bad, w why, Escape leaves the text, u back to the one before.
"use strict";

const keys = {
  g: () => document.querySelector("button[value=good]")?.click(),
  b: () => document.querySelector("button[value=bad]")?.click(),
  w: () => document.getElementById("why")?.focus(),
  u: () => document.querySelector("a[rel=prev]")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.target.closest("textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const wanted = keys[event.key];
  if (wanted) {
    event.preventDefault();
    wanted();
  }
});
