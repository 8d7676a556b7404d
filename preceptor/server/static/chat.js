/** The page for readers. */

import { Tutor } from './tutor.js';
import { wordsFor } from './words.js';

const root = document.getElementById('tutor');
const say = await wordsFor(document.documentElement.lang);
const tutor = new Tutor(root, { server: new URL('../', import.meta.url), title: root.dataset.title, say });
// On a phone the keyboard would cover half of the page before anything was read.
if (matchMedia('(hover: hover)').matches) tutor.focus();
