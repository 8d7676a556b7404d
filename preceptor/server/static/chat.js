/** The page for readers. */

import { onShortcut } from './shortcuts.js';
import { Tutor } from './tutor.js';
import { wordsFor } from './words.js';

const root = document.getElementById('tutor');
const say = await wordsFor(document.documentElement.lang);
const { title, disclaimer, keep, books } = root.dataset;
const questions = () => JSON.parse(root.dataset.questions ?? '[]');
const server = new URL('../', import.meta.url);
const tutor = new Tutor(root, { server, title, say, disclaimer, books, questions, keep: keep !== 'none' });
onShortcut('mod+k,/', () => tutor.focus());

const here = new URL(location.href);
if (here.searchParams.has('q')) {
  const question = here.searchParams.get('q');
  // A reload must not ask it again.
  here.searchParams.delete('q');
  history.replaceState(history.state, '', here);
  if (question) tutor.askAnew(question);
}
// On a phone the keyboard would cover half of the page before anything was read.
if (matchMedia('(hover: hover)').matches) tutor.focus();
