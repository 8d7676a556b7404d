/** Code, formulas and tables, in answers and on pages of chapters: a frame with its tools, and what draws it loaded by need. */

import { h, icon } from './dom.js';

/** What is wider than the page scrolls by itself, by keyboard too. */
export function scrolling(table, say) {
  const frame = h('div', { class: 'table', tabindex: '0', role: 'group', 'aria-label': say('table') });
  table.replaceWith(frame);
  frame.append(table);
}

/** A block of code with its language's name, *Copy* and a switch for long lines. Its text may grow. */
export function codeBlock(text, language, say) {
  const code = h('code', null, text);
  const pre = h('pre', { tabindex: '0', dir: 'ltr', role: 'group', 'aria-label': [say('code'), language].filter(Boolean).join(': ') }, code);
  const wrap = h(
    'button',
    { type: 'button', class: 'icon wrap', 'aria-label': say('wrap'), title: say('wrap'), 'aria-pressed': 'false' },
    icon('wrap'),
  );
  wrap.addEventListener('click', () => wrap.setAttribute('aria-pressed', String(pre.classList.toggle('wrapped'))));
  const bar = h(
    'div',
    { class: 'bar', dir: 'ltr' },
    h('span', { class: 'language' }, language),
    wrap,
    copyButton(() => code.textContent.replace(/\n$/, ''), say),
  );
  return { element: h('div', { class: 'code' }, bar, pre), code };
}

/** Colour a block of code once it is whole. */
export function colour(code, language) {
  if (!language) return;
  import('./code.js').then(({ highlight }) => highlight(code, language)).catch(() => {});
}

let math = null;
let loading = null;

/** Draw the TeX that an element holds: at once if that is loaded, else as soon as it is; until then it shows the TeX. */
export function formula(element, display, say) {
  const tex = element.textContent;
  const place = h(display ? 'div' : 'span', { class: display ? 'formula display' : 'formula', dir: 'ltr', 'data-tex': tex });
  element.replaceWith(place);
  place.append(element);
  const draw = () => {
    const drawn = math.mathml(tex, display);
    if (!drawn) return;
    element.replaceWith(drawn);
    if (!display) return;
    place.tabIndex = 0;
    place.setAttribute('role', 'group');
    place.ariaLabel = say('formula');
    place.append(copyButton(() => tex, say, 'copyFormula'));
  };
  if (math) draw();
  else {
    loading ??= import('./math.js');
    loading.then(
      (loaded) => {
        math = loaded;
        draw();
      },
      () => (loading = null),
    );
  }
}

/** What a reader copies has formulas as TeX. */
export function copyAsTex(root) {
  root.addEventListener('copy', (event) => {
    const selection = root.getRootNode().getSelection?.() ?? document.getSelection();
    if (!selection?.rangeCount || selection.isCollapsed) return;
    const copied = selection.getRangeAt(0).cloneContents();
    const formulas = copied.querySelectorAll('[data-tex]');
    if (!formulas.length || !event.clipboardData) return;
    for (const each of formulas) {
      const sign = each.classList.contains('display') ? '$$' : '$';
      each.replaceChildren(`${sign}${each.dataset.tex}${sign}`);
    }
    for (const block of copied.querySelectorAll('p, li, pre, tr, h1, h2, h3, h4, h5, h6, .display')) block.append('\n');
    event.clipboardData.setData('text/plain', copied.textContent.trim());
    event.preventDefault();
  });
}

/** A button that copies; none where the browser has no clipboard, which is there on https and localhost only. */
export function copyButton(text, say, name = 'copy') {
  if (!navigator.clipboard) return null;
  const button = h('button', { type: 'button', class: 'copy' }, say(name));
  const show = (told) => {
    button.textContent = say(told);
    setTimeout(() => (button.textContent = say(name)), 2000);
  };
  button.addEventListener('click', () =>
    navigator.clipboard.writeText(text()).then(
      () => show('copied'),
      () => show('notCopied'),
    ),
  );
  return button;
}
