/** A tutor's Markdown as elements: no HTML of the model's own, no images, links to the web only. */

import DOMPurify from './vendor/purify.es.mjs';
import { Marked } from './vendor/marked.esm.js';

import { directed, h } from './dom.js';
import { codeBlock, colour, copyAsTex, formula, scrolling } from './rich.js';
import { nameOf, quoted } from './sources.js';
import { nextFrame } from './tasks.js';

/** Characters that are looked at in one step: few while the code is cold or the machine slow, … */
const FEWEST = 125;
const MOST = 1000;
/** … and how long steps may follow each other before the page gets its turn. */
const BUDGET_MS = 8;
/** After the steps, and the layout of what they made, the next ones wait for this many times as long as these took. */
const REST = 3;
/** Rows of one part of a table. The browser lays out parts that did not change once, if the columns' widths are fixed. */
const PART = 40;
/** Blocks, items and rows at the end that the next characters may still change. */
const UNSETTLED = 2;

const CLEAN = {
  ALLOWED_TAGS: [
    'p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'ul', 'ol', 'li', 'blockquote', 'pre', 'code', 'em', 'strong',
    'del', 'sub', 'sup', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td',
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
/** A number and words, as in `$5 for a bolt (0.5$)`, are no formula. */
const PRICE = /^\d[\d.,]*\s[^\\=+^_]*\p{L}{2,}|^[–—,;]/u;

/** TeX is no Markdown: to Markdown, `a_1 * b_1 * c` would be emphasis. */
const tex = (level, pattern, start) => ({
  name: `${level}Formula`,
  level,
  start: (text) => text.match(start)?.index,
  tokenizer(text) {
    const found = pattern.exec(text)?.[0];
    if (!found || (/^\$[^$]/.test(found) && PRICE.test(found.slice(1)))) return undefined;
    return { type: `${level}Formula`, raw: found, text: found.replace(DELIMITERS, ''), display: /^(?:\$\$|\\\[)/.test(found) };
  },
  renderer: ({ text, display }) =>
    level === 'block'
      ? `<pre class="tex">${escaped(text)}</pre>\n`
      : `<code class="tex${display ? ' display' : ''}">${escaped(text)}</code>`,
});

const inline = (name, start, pattern, renderer) => ({
  name,
  level: 'inline',
  start: (text) => text.match(start)?.index,
  tokenizer(text) {
    const found = pattern.exec(text);
    return found ? { type: name, raw: found[0], text: found[1] } : undefined;
  },
  renderer,
});

const footnote = {
  name: 'footnote',
  level: 'block',
  start: (text) => text.match(/^\[\^/m)?.index,
  tokenizer(text) {
    const found = /^\[\^([\w-]{1,20})\]:[ \t]+([^\n]+)(?:\n+|$)/.exec(text);
    if (!found) return undefined;
    const [raw, label, note] = found;
    return { type: 'footnote', raw, label, tokens: this.lexer.inlineTokens(note, []) };
  },
  renderer({ label, tokens }) {
    return `<p class="footnote"><sup>${label}</sup> ${this.parser.parseInline(tokens)}</p>\n`;
  },
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
    inline('citation', /\[\d/, /^\[(\d{1,3})\](?!\()/, ({ text }) => `<a class="cite">${text}</a>`),
    inline('footnoteMark', /\[\^/, /^\[\^([\w-]{1,20})\](?!:)/, ({ text }) => `<a class="mark">${text}</a>`),
    inline('sub', /~/, /^~(?!~)([^~\s]{1,20})~(?!~)/, ({ text }) => `<sub>${escaped(text)}</sub>`),
    inline('sup', /\^/, /^\^([^^\s]{1,20})\^/, ({ text }) => `<sup>${escaped(text)}</sup>`),
    footnote,
    // Only at the beginning of a line: the end of another formula must not be the beginning of this one.
    tex('block', /^(?:\$\$[^$]+\$\$|\\\[[\s\S]+?\\\])[ \t]*(?:\n|$)/, /(?<=\n {0,3})(?:\$\$|\\\[)/),
    tex(
      'inline',
      /^(?:\$\$[^$]+\$\$|\$(?![\s$])(?:\\.|[^$\\\n])*?[^\s$\\]\$(?![\w$])|\\\([\s\S]+?\\\)|\\\[[\s\S]+?\\\])/,
      /\$|\\[([]/,
    ),
  ],
});

/**
 * An element that shows Markdown which grows.
 *
 * Only what changed is made anew. Blocks at the end may still change; those before them are settled and never looked at
 * again, nor are the settled items of a list and the settled rows of a table that is still growing.
 */
export class Markdown {
  /**
   * @param say strings of the interface
   * @param cite gives the source with a number, if there is one
   * @param opens attributes of a link to a source's address
   * @param grew is called when there is more to see
   */
  constructor(say, { cite, opens, grew = () => {} }) {
    this.element = h('div', { class: 'answer' });
    copyAsTex(this.element);
    this._say = say;
    this._cite = cite;
    this._opens = opens;
    this._grew = grew;
    this._piece = FEWEST;
    /** Blocks and rows that were made: what the work is, for tests. */
    this.made = 0;
    this._restsUntil = 0;
    this._working = false;
    this._plain = false;
    this._reset();
  }

  /**
   * Show `text`; a long one piece by piece, so that the page stays quick.
   *
   * @param whole whether nothing will follow
   * @returns a promise of its having been shown
   */
  show(text, whole = false) {
    this._text = text.replace(/\r\n?/g, '\n');
    this._whole = whole;
    if (!this._text.startsWith(this._seen)) this._reset();
    this._shown ??= new Promise((resolve) => (this._done = resolve));
    const shown = this._shown;
    if (!this._working) {
      this._working = true;
      const rest = this._restsUntil - performance.now();
      if (rest > 0) setTimeout(() => this._work(), rest);
      else this._work();
    }
    return shown;
  }

  _reset() {
    this.element.replaceChildren();
    /** Text that has been looked at, and how much of it is settled. */
    this._seen = '';
    this._settled = 0;
    /** Blocks at the end, `{raw, element, …}`. */
    this._blocks = [];
    /** The list or table whose beginning is settled: `{type, head, parts}`. */
    this._open = null;
  }

  async _work() {
    const begin = performance.now();
    let now = begin;
    for (let full = false; this._hasMore() && !full && now - begin < BUDGET_MS; full = this._isFull()) {
      if (this._plain) this._showPlain();
      else this._tryStep();
      const took = performance.now() - now;
      now += took;
      this._piece = Math.max(FEWEST, Math.min(MOST, took > BUDGET_MS / 2 ? this._piece / 2 : this._piece * 2));
    }
    // Layout is the larger part of a long table's work: it is made in the frame's own task, and counts.
    await nextFrame();
    const frame = performance.now();
    this._grew();
    void this.element.offsetHeight;
    const done = performance.now();
    const rest = (now - begin + done - frame) * REST;
    this._restsUntil = done + rest;
    if (this._hasMore()) {
      // What is here as a whole keeps nobody waiting for the rest of it.
      setTimeout(() => this._work(), this._whole ? 0 : rest);
      return;
    }
    this._working = false;
    this._shown = null;
    this._done();
  }

  /** Whether a table's columns are measured next: that waits for the layout of the rows it has. */
  _isFull() {
    const into = this._open?.type === 'table' && this._open.into;
    return into && into.rows.length >= PART && !into.parentElement.classList.contains('long');
  }

  _hasMore() {
    return this._seen.length < this._text.length || this._finishing();
  }

  /** Whether the last blocks are still to be coloured. */
  _finishing() {
    return this._whole && this._blocks.some((block) => block.code && !block.coloured);
  }

  /** What cannot be made into elements (a page whose Trusted Types forbid it, say) is shown as it is written. */
  _tryStep() {
    try {
      this._step();
    } catch (error) {
      console.error(error);
      this._plain = true;
      this._reset();
      this._showPlain();
    }
  }

  _showPlain() {
    this._seen = this._text;
    this.element.replaceChildren(directed(h('p', { class: 'plain' }, this._text)));
  }

  _step() {
    const from = this._seen.length;
    const lineEnd = this._text.indexOf('\n', from + this._piece);
    this._seen = lineEnd < 0 ? this._text : this._text.slice(0, lineEnd + 1);
    const text = (this._open?.head ?? '') + this._seen.slice(this._settled);
    const tokens = marked.lexer(text, marked.defaults).filter(({ type }) => type !== 'space');
    if (this._open) {
      if (tokens[0]?.type !== this._open.type) {
        // The end of the list or table was not what it looked like.
        const seen = this._seen;
        this._reset();
        this._seen = seen;
        this._step();
        return;
      }
      this._grow(this._open, tokens.shift());
    }
    this._place(tokens);
    this._settle(tokens);
  }

  /** Make the blocks at the end anew where they changed. */
  _place(tokens) {
    tokens.forEach((token, place) => {
      const old = this._blocks[place];
      const isLast = place === tokens.length - 1 && !this._whole;
      if (old?.raw !== token.raw) {
        if (old?.code && token.type === 'code' && old.lang === token.lang && token.text.startsWith(old.text)) {
          old.code.append(token.text.slice(old.text.length));
          Object.assign(old, { raw: token.raw, text: token.text });
        } else {
          this._blocks[place] = this._made(token);
          if (old) old.element.replaceWith(this._blocks[place].element);
          else this.element.append(this._blocks[place].element);
        }
      }
      if (!isLast) this._colour(this._blocks[place]);
    });
    for (const { element } of this._blocks.splice(tokens.length)) element.remove();
  }

  _colour(block) {
    if (!block.code || block.coloured) return;
    block.coloured = true;
    colour(block.code, block.lang);
  }

  /** Forget the text of what can no longer change. */
  _settle(tokens) {
    const grows = partsOf(tokens.at(-1)).length > UNSETTLED;
    let count = tokens.length - (grows ? 1 : UNSETTLED);
    if (this._open && count >= 0 && !this._close()) return;
    for (; count > 0; count -= 1) {
      const { raw } = this._blocks[0];
      const at = this._seen.indexOf(raw, this._settled);
      // The lexer's text of an unfinished item may differ from what was written.
      if (at < 0) return;
      this._settled = at + raw.length;
      this._blocks.shift();
    }
    if (!this._open && this._blocks.length === 1) this._opened(tokens.at(-1));
  }

  /** A list or table that is alone at the end goes on growing: its first parts settle. */
  _opened(token) {
    const parts = partsOf(token);
    if (parts.length <= UNSETTLED) return;
    const [block] = this._blocks;
    const at = this._seen.indexOf(token.raw, this._settled);
    if (at < 0) return;
    this._settled = at;
    this._blocks = [];
    this._open = { type: token.type, into: block.into(), parts: [], head: '' };
    const children = [...this._open.into.children];
    this._open.parts = parts.map((raw, place) => ({ raw, element: children[place] }));
    if (token.type === 'table') {
      this._open.head = headOf(token);
      this._settled += this._open.head.length;
    }
    this._settleParts();
  }

  _settleParts() {
    const { parts } = this._open;
    while (parts.length > UNSETTLED && this._seen.startsWith(parts[0].raw, this._settled)) {
      this._settled += parts.shift().raw.length;
    }
  }

  /** Make the last items or rows anew where they changed. */
  _grow(open, token) {
    const raws = partsOf(token);
    let same = 0;
    while (same < raws.length && open.parts[same]?.raw === raws[same]) same += 1;
    for (const { element } of open.parts.splice(same)) element.remove();
    if (same < raws.length) {
      const field = token.type === 'table' ? 'rows' : 'items';
      const fragment = this._fragment({ ...token, [field]: token[field].slice(same) });
      const made = [...fragment.querySelector(token.type === 'table' ? 'tbody' : 'ul, ol').children];
      made.forEach((element, place) => {
        if (token.type === 'list') directed(element);
        open.parts.push({ raw: raws[same + place], element });
      });
      if (token.type === 'table' && open.into.rows.length >= PART) open.into = this._part(open.into.parentElement);
      open.into.append(...made);
      this.made += made.length;
    }
    this._settleParts();
  }

  /** Another part of a long table; with the first one, the columns keep the widths that they have by now. */
  _part(table) {
    const widths = [...table.rows[0].cells].map((cell) => cell.getBoundingClientRect().width);
    // A table that is not shown has none.
    if (!table.classList.contains('long') && widths[0]) {
      widths.forEach((width, place) => (table.rows[0].cells[place].style.inlineSize = `${width}px`));
      table.style.inlineSize = `${widths.reduce((sum, width) => sum + width)}px`;
      table.classList.add('long');
    }
    const part = h('tbody', null);
    table.append(part);
    return part;
  }

  /** What follows the list or table has begun, so that it is settled as a whole. Returns whether it is. */
  _close() {
    const rest = this._open.parts.map(({ raw }) => raw).join('');
    if (!this._seen.startsWith(rest, this._settled)) return false;
    this._settled += rest.length;
    this._open = null;
    return true;
  }

  _made(token) {
    this.made += 1;
    if (token.type === 'code') {
      const lang = token.lang?.split(/[\s{,:]/)[0] ?? '';
      const { element, code } = codeBlock(token.text, lang, this._say);
      // Appended to as a text of its own.
      return { raw: token.raw, text: token.text, lang: token.lang, element, code };
    }
    const fragment = this._fragment(token);
    for (const table of fragment.querySelectorAll('table')) scrolling(table, this._say);
    const element = fragment.firstElementChild ?? h('p', null);
    if (!element.matches('.code, .formula')) directed(element);
    for (const item of element.matches('ul, ol') ? element.children : []) directed(item);
    return { raw: token.raw, element, into: () => (token.type === 'table' ? element.querySelector('tbody') : element) };
  }

  /** What a token says, as clean elements. */
  _fragment(token) {
    const fragment = DOMPurify.sanitize(marked.parser([token], marked.defaults), CLEAN);
    for (const pre of fragment.querySelectorAll('pre:not(.tex)')) this._block(pre);
    for (const each of fragment.querySelectorAll('.tex')) formula(each, each.matches('pre, .display'), this._say);
    for (const link of fragment.querySelectorAll('a')) this._link(link);
    return fragment;
  }

  /** Code inside a list or a quotation. */
  _block(pre) {
    const lang = /language-(\S+)/.exec(pre.firstElementChild?.className)?.[1] ?? '';
    const { element, code } = codeBlock(pre.textContent, lang, this._say);
    pre.replaceWith(element);
    colour(code, lang);
  }

  _link(link) {
    if (link.className === 'cite') {
      const source = this._cite(Number(link.textContent));
      // A marker does not stand alone on the next line.
      const before = link.previousSibling;
      if (before instanceof Text) before.data = before.data.replace(/ $/, '\u00a0');
      link.replaceWith(source ? this._citation(source) : `[${link.textContent}]`);
    } else if (link.className === 'mark') {
      link.replaceWith(this._footnoteMark(link.textContent));
    } else if (link.hasAttribute('href')) {
      link.target = '_blank';
      link.rel = 'noopener noreferrer nofollow';
    } else {
      link.replaceWith(...link.childNodes);
    }
  }

  _citation(source) {
    const label = this._say('source', { number: source.n, name: nameOf(source) });
    return h('a', { class: 'cite', 'aria-label': label, ...this._opens(quoted(source.url, source.quote)) }, String(source.n));
  }

  /** Addresses with `#` lead nowhere inside a shadow root; the note is looked for when it is asked for. */
  _footnoteMark(label) {
    const mark = h('button', { type: 'button', 'aria-label': this._say('footnote', { number: label }) }, label);
    mark.addEventListener('click', () => {
      const notes = [...this.element.querySelectorAll('.footnote')];
      const note = notes.find((each) => each.firstElementChild?.textContent === label);
      if (!note) return;
      note.tabIndex = -1;
      note.focus();
      note.scrollIntoView({ block: 'nearest' });
    });
    return h('sup', { class: 'mark' }, mark);
  }
}

const SAMPLE = 'A **word**, *one*, `code` and [1].\n\n- item\n- item\n\n| a | b |\n|---|---|\n| c | `d` |\n';

/**
 * Have the browser compile what shows an answer and look up its fonts, piece by piece, while the reader types: the first
 * words of an answer would wait for all of it, on a phone for a tenth of a second.
 *
 * @param place an element in which an answer looks as it will; it is given back empty
 */
export async function warmUp(say, place) {
  const markdown = new Markdown(say, { cite: never, opens: () => ({}) });
  const pieces = [
    () => marked.lexer(SAMPLE, marked.defaults),
    () => DOMPurify.sanitize('<p class="cite">A <a href="#">word</a></p>', CLEAN),
    () => markdown.show(SAMPLE, true),
  ];
  const pause = () => new Promise((done) => setTimeout(done, 50));
  for (const piece of pieces) {
    await pause();
    piece();
  }
  for (const block of [...markdown.element.children]) {
    await pause();
    place.append(h('div', { class: 'answer' }, block));
    void place.offsetHeight;
    place.replaceChildren();
  }
}

/** The text of each item of a list or each row of a table; empty for another block. */
function partsOf(token) {
  if (token?.type === 'list') return token.items.map(({ raw }) => raw);
  if (token?.type !== 'table') return [];
  const lines = token.raw.slice(headOf(token).length).match(/[^\n]*(?:\n|$)/g) ?? [];
  return lines.slice(0, token.rows.length);
}

/** A table's head and the line below it. */
function headOf(token) {
  return /^[^\n]*\n[^\n]*\n?/.exec(token.raw)[0];
}
