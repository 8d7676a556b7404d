/** Formulas: TeX as MathML, which browsers draw and read out by themselves. Loaded when there is one. */

import DOMPurify from './vendor/purify.es.mjs';
import temml from './vendor/temml.min.js';

const LONGEST = 4000;
/** By display and TeX: the same formula is drawn again with every word that is added to its paragraph. */
const drawn = new Map();
const KEPT = 500;

/** The formula as an element, or null when it is no TeX. */
export function mathml(tex, display) {
  if (tex.length > LONGEST) return null;
  const name = `${display} ${tex}`;
  if (!drawn.has(name)) {
    if (drawn.size > KEPT) drawn.clear();
    drawn.set(name, draw(tex, display));
  }
  return drawn.get(name)?.cloneNode(true) ?? null;
}

function draw(tex, display) {
  const place = document.createElement('span');
  try {
    // `trust` off: no addresses, ids or classes of the author's.
    temml.render(tex, place, { displayMode: display, trust: false, throwOnError: true, maxSize: [20, 500] });
  } catch {
    return null;
  }
  const formula = place.firstElementChild;
  DOMPurify.sanitize(formula, { IN_PLACE: true, USE_PROFILES: { mathMl: true }, ADD_ATTR: ['style', 'class'] });
  return formula;
}
