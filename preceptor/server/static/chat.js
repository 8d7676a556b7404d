/** The page for readers. */

import { Tutor } from './tutor.js';

const root = document.getElementById('tutor');
const tutor = new Tutor(root, {
  server: new URL('../', import.meta.url),
  title: root.dataset.title,
  language: document.documentElement.lang,
});
// On a phone the keyboard would cover half of the page before anything was read.
if (matchMedia('(hover: hover)').matches) tutor.focus();
