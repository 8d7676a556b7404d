/** A chapter's page: its code and formulas as in answers, and a field to ask the book. */

import { codeBlock, colour, copyAsTex, formula, scrolling } from './rich.js';
import { wordsFor } from './words.js';

const say = await wordsFor(document.documentElement.lang);

for (const pre of document.querySelectorAll('main pre:not(.tex)')) {
  const language = /language-(\S+)/.exec(pre.firstElementChild?.className)?.[1] ?? '';
  const { element, code } = codeBlock(pre.textContent, language, say);
  pre.replaceWith(element);
  colour(code, language);
}
for (const table of document.querySelectorAll('main table')) scrolling(table, say);
for (const tex of document.querySelectorAll('.tex')) formula(tex, tex.classList.contains('display'), say);
copyAsTex(document.body);

const form = document.querySelector('.ask');
const [field, button] = form.elements;
field.placeholder = say('placeholder');
field.ariaLabel = say('placeholder');
button.textContent = say('send');
form.classList.add('ready');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const question = field.value.trim();
  const { ask, open } = await window.Preceptor;
  field.value = '';
  // Without a question, the conversation so far.
  await (question ? ask(question) : open());
});
