/** A tutor's Markdown as elements: no HTML of the model's own, no images, links to the web only. */

import DOMPurify from './vendor/purify.es.mjs';
import { Marked } from './vendor/marked.esm.js';

import { directed, h } from './dom.js';

const CLEAN = {
  ALLOWED_TAGS: [
    'p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'ul', 'ol', 'li', 'blockquote', 'pre', 'code', 'em', 'strong',
    'del', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td',
  ],
  ALLOWED_ATTR: ['href', 'class', 'start', 'align'],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  ADD_URI_SAFE_ATTR: ['start', 'align'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text) => text.replace(/[&<>"']/g, (sign) => ESCAPES[sign]);
const never = () => undefined;

const DELIMITERS = /^(\$\$?|\\[([])\s*|\s*(\$\$?|\\[)\]])\s*$/g;

/** Formulas stay TeX, but untouched: to Markdown, `a_1 * b_1 * c` would be emphasis. */
const formula = (level, pattern, start) => ({
  name: `${level}Formula`,
  level,
  start: (text) => text.match(start)?.index,
  tokenizer(text) {
    const found = pattern.exec(text);
    return found ? { type: `${level}Formula`, raw: found[0], text: found[0].replace(DELIMITERS, '') } : undefined;
  },
  renderer: ({ text }) =>
    level === 'block' ? `<pre class="tex"><code>${escaped(text)}</code></pre>\n` : `<code class="tex">${escaped(text)}</code>`,
});

const citation = {
  name: 'citation',
  level: 'inline',
  start: (text) => text.match(/\[\d/)?.index,
  tokenizer(text) {
    const found = /^\[(\d{1,3})\](?!\()/.exec(text);
    return found ? { type: 'citation', raw: found[0], number: found[1] } : undefined;
  },
  renderer: ({ number }) => `<a class="cite">${number}</a>`,
};

const marked = new Marked({
  // HTML stays text, and `[1]: …` is no definition that vanishes.
  tokenizer: { html: never, tag: never, def: never },
  renderer: {
    // An image would tell its host who reads what.
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
  extensions: [
    citation,
    formula('block', /^(?:\$\$[^$]+\$\$|\\\[[\s\S]+?\\\])[ \t]*(?:\n|$)/, /\$\$|\\\[/),
    formula(
      'inline',
      /^(?:\$\$[^$]+\$\$|\$(?![\s$])(?:\\.|[^$\\\n])*?[^\s$\\]\$(?![\d$])|\\\([\s\S]+?\\\)|\\\[[\s\S]+?\\\])/,
      /\$|\\[([]/,
    ),
  ],
});

/** An element that shows Markdown which grows: blocks that did not change are left alone. */
export class Markdown {
  /**
   * @param say strings of the interface
   * @param cite gives the source with a number, if there is one
   * @param opens attributes of a link to a source's address
   */
  constructor(say, { cite, opens }) {
    this.element = h('div', { class: 'answer' });
    this._say = say;
    this._cite = cite;
    this._opens = opens;
    this._shown = [];
  }

  show(text) {
    const blocks = marked.lexer(text, marked.defaults).filter((token) => token.type !== 'space');
    blocks.forEach((block, place) => {
      if (this._shown[place] === block.raw) return;
      this._shown[place] = block.raw;
      const element = this._made(block);
      const old = this.element.children[place];
      if (old) old.replaceWith(element);
      else this.element.append(element);
    });
    this._shown.length = blocks.length;
    while (this.element.children.length > blocks.length) this.element.lastElementChild.remove();
  }

  _made(block) {
    const html = marked.parser([block], marked.defaults);
    const fragment = DOMPurify.sanitize(html, CLEAN);
    for (const link of fragment.querySelectorAll('a')) this._link(link);
    for (const table of fragment.querySelectorAll('table')) this._scrolling(table, 'table');
    for (const code of fragment.querySelectorAll('pre')) this._scrolling(code, 'code');
    const element = fragment.firstElementChild ?? h('p', null);
    if (element.className !== 'code') directed(element);
    return element;
  }

  _link(link) {
    if (link.className === 'cite') {
      const source = this._cite(Number(link.textContent));
      // A marker does not stand alone on the next line.
      const before = link.previousSibling;
      if (before instanceof Text) before.data = before.data.replace(/ $/, '\u00a0');
      link.replaceWith(source ? this._citation(source) : `[${link.textContent}]`);
    } else if (link.hasAttribute('href')) {
      link.target = '_blank';
      link.rel = 'noopener noreferrer nofollow';
    } else {
      link.replaceWith(...link.childNodes);
    }
  }

  _citation(source) {
    const name = source.breadcrumb?.at(-1) || source.title;
    const label = this._say('source', { number: source.n, name });
    return h('a', { class: 'cite', 'aria-label': label, title: name, ...this._opens(source.url) }, String(source.n));
  }

  /** What is wider than the page scrolls by itself, by keyboard too; code can be copied. */
  _scrolling(element, kind) {
    const frame = h('div', { class: kind });
    element.replaceWith(frame);
    frame.append(element);
    const scroller = kind === 'code' ? element : frame;
    scroller.tabIndex = 0;
    if (kind === 'code') {
      element.dir = 'ltr';
      // The clipboard is there on https and localhost only.
      if (navigator.clipboard && element.className !== 'tex') frame.append(copyButton(element, this._say));
    }
  }
}

function copyButton(code, say) {
  const button = h('button', { type: 'button', class: 'copy' }, say('copy'));
  const show = (text) => {
    button.textContent = text;
    setTimeout(() => (button.textContent = say('copy')), 2000);
  };
  button.addEventListener('click', () =>
    navigator.clipboard.writeText(code.textContent.replace(/\n$/, '')).then(
      () => show(say('copied')),
      () => show(say('notCopied')),
    ),
  );
  return button;
}
