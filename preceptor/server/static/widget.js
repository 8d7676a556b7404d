/** The tutor on any site: a button, a bubble at marked text, and a panel, all inside one shadow root. */

import { h, icon } from './dom.js';
import { onShortcut } from './shortcuts.js';
import { wordsFor } from './words.js';

const LONGEST_MARK = 8000;
const PHONE = matchMedia('(max-width: 480px), (max-height: 400px)');
const OPEN = 'preceptor:open';
const LAYOUTS = ['floating', 'docked', 'expanded', 'modal'];
const SHORTCUTS = 'mod+k,/';
const HEADINGS = 4;

/**
 * Put the widget on this page.
 *
 * @param server URL of the service, with a slash at its end
 * @param options attributes of the tag: `title` of the panel and the button; `color`, the accent; `position`, `right` or
 *   `left`; `layout`, `floating`, `docked`, `expanded` or `modal`; `lang`; `launcher`, `none` to have no button; `trigger`, a
 *   selector of the page's own buttons; `shortcut`; `parameter` of the address that holds a question; `questions`, examples
 *   as a JSON list or with `|` between them; `disclaimer`; `books`, address of the page where readers choose another book;
 *   `keep`, `none` to keep nothing in the browser
 * @returns `{open, close, ask, clear, on}`, the functions of `window.Preceptor`
 */
export async function openWidget(server, options) {
  const language = options.lang || document.documentElement.lang || 'en';
  const [say, ...sheets] = await Promise.all([
    wordsFor(language),
    ...['tutor.css', 'widget.css'].map((name) => sheet(new URL(`static/${name}`, server))),
  ]);
  const widget = new Widget(server, say, options);
  const { color } = options;
  if (color && CSS.supports('color', color)) widget.root.style.setProperty('--accent', color);
  const place = h('div', { 'data-preceptor': true });
  const shadow = place.attachShadow({ mode: 'open' });
  // Constructed sheets need no style-src of the page's Content-Security-Policy.
  shadow.adoptedStyleSheets = sheets;
  shadow.append(widget.root);
  if (!document.body) await new Promise((done) => addEventListener('DOMContentLoaded', done, { once: true }));
  // Beside the body: there, no transform or filter of the body's moves it, and sites that replace the body leave it in place.
  document.documentElement.append(place);
  widget.begin();
  return Object.freeze({
    open: (marked) => widget.open(marked),
    close: () => widget.close(),
    ask: (question) => widget.ask(question),
    clear: () => widget.clear(),
    on: (event, listener) => widget.on(event, listener),
  });
}

async function sheet(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return new CSSStyleSheet().replace(await response.text());
}

class Widget {
  constructor(server, say, options) {
    const { title, position, layout = 'floating', launcher } = options;
    this._server = server;
    this._say = say;
    this._options = options;
    this._keeps = options.keep !== 'none';
    this._title = title || say('ask');
    this._tutor = null;
    this._making = null;
    this._pressed = false;
    this._listeners = [];
    /** Where the focus was when the panel was opened. */
    this._before = null;
    this._layout = LAYOUTS.includes(layout) ? layout : 'floating';
    this._panel = h('section', { class: 'panel tutor', role: 'dialog', 'aria-label': this._title, hidden: true });
    this._veil = h('div', { class: 'veil', hidden: true, onclick: () => this.close() });
    this._launcher = h(
      'button',
      { type: 'button', class: 'launcher', 'aria-haspopup': 'dialog', 'aria-label': this._title, onclick: () => this.open() },
      icon('book'),
      h('span', { 'aria-hidden': 'true' }, this._title),
    );
    this._hasLauncher = launcher !== 'none';
    this._launcher.hidden = !this._hasLauncher;
    this._bubble = h(
      'button',
      { type: 'button', class: 'bubble', hidden: true, onclick: () => this.open() },
      icon('book'),
      say('askAboutThis'),
    );
    // A press on the bubble must not take the selection away.
    this._bubble.addEventListener('pointerdown', (event) => event.preventDefault());
    this.root = h(
      'div',
      { class: `preceptor ${position === 'left' ? 'left' : 'right'} ${this._layout}`, lang: say.lang, dir: say.dir },
      this._launcher,
      this._bubble,
      this._veil,
      this._panel,
    );
    this.root.addEventListener('keydown', (event) => this._key(event));
    this._panel.addEventListener('click', (event) => {
      if (PHONE.matches && event.target.closest('a[data-here]')) this.close();
    });
    // Shortcuts of the page ("/" for search, say) are not for what is typed here.
    for (const kind of ['keydown', 'keypress', 'keyup']) {
      this.root.addEventListener(kind, (event) => {
        if (!this._panel.hidden) event.stopPropagation();
      });
    }
  }

  /** Follow the page: its theme, what is marked on it, whether the panel was open before it was loaded. */
  begin() {
    const html = document.documentElement;
    const follow = () => {
      const { body } = document;
      // MkDocs and mdBook have names of their own for their themes, but say to the browser which are dark.
      const said = [html.dataset.theme, body.dataset.theme, getComputedStyle(body).colorScheme];
      this.root.dataset.theme = said.find((theme) => theme === 'dark' || theme === 'light') ?? 'auto';
    };
    for (const element of [html, document.body]) new MutationObserver(follow).observe(element, { attributes: true });
    follow();

    let pause;
    const soon = () => {
      clearTimeout(pause);
      pause = setTimeout(() => this._showBubble(), 200);
    };
    document.addEventListener('selectionchange', soon);
    document.addEventListener('pointerdown', () => (this._pressed = true));
    for (const kind of ['pointerup', 'pointercancel']) {
      document.addEventListener(kind, () => {
        this._pressed = false;
        soon();
      });
    }
    addEventListener('scroll', () => this._showBubble(), { passive: true, capture: true });

    const { shortcut = SHORTCUTS, trigger, parameter = 'q' } = this._options;
    onShortcut(shortcut, () => this.open());
    if (trigger) {
      document.addEventListener('click', (event) => {
        if (event.target instanceof Element && event.target.closest(trigger)) this.open('');
      });
    }
    const here = new URL(location.href);
    const question = parameter && here.searchParams.get(parameter);
    // On a page of search results, `q` is what was searched for.
    if (question && !/\/search(\.html|\/)?$/.test(here.pathname)) {
      here.searchParams.delete(parameter);
      history.replaceState(history.state, '', here);
      this.ask(question);
    } else if (this._keeps && remembered() && !PHONE.matches && this._layout !== 'modal') this._show();
  }

  /** Open the panel and ask a question, in a conversation of its own. */
  async ask(question) {
    await this._show();
    this._tutor?.askAnew(String(question));
    this._tutor?.focus();
  }

  /** Begin another conversation. */
  async clear() {
    if (this._making) (await this._making)?.restart();
  }

  /** Call `listener` with what happens: `open`, `close`, `question`, `answer`, `error`, `rating`. Returns how to stop it. */
  on(event, listener) {
    const entry = { event, listener };
    this._listeners.push(entry);
    return () => (this._listeners = this._listeners.filter((each) => each !== entry));
  }

  _happened(event, detail) {
    for (const { listener } of this._listeners.filter((each) => each.event === event)) {
      try {
        listener(detail);
      } catch (error) {
        // The page's own mistake must not end an answer.
        console.error(error);
      }
    }
  }

  /** Open the panel, to ask about `marked`; default: what is marked on the page. */
  async open(marked = markedText()?.text) {
    await this._show();
    if (marked) this._tutor?.mark(marked);
    this._tutor?.focus();
  }

  close() {
    if (this._panel.hidden) return;
    this._panel.hidden = true;
    this._veil.hidden = true;
    this._launcher.hidden = !this._hasLauncher;
    document.documentElement.style.removeProperty('--preceptor-docked');
    const before = this._before?.isConnected ? this._before : this._launcher;
    before.focus({ preventScroll: true });
    this._before = null;
    this._remember(false);
    this._happened('close');
  }

  async _show() {
    if (this._panel.hidden) {
      const { activeElement } = document;
      const own = activeElement?.matches('[data-preceptor], body');
      this._before = own ? null : activeElement;
      this._happened('open');
    }
    this._bubble.hidden = true;
    this._launcher.hidden = true;
    this._panel.hidden = false;
    this._veil.hidden = this._layout !== 'modal';
    // A page that makes room for the docked panel finds its width here.
    if (this._layout === 'docked' && !PHONE.matches)
      document.documentElement.style.setProperty('--preceptor-docked', `${this._panel.offsetWidth}px`);
    this._panel.setAttribute('aria-modal', String(PHONE.matches || this._layout === 'modal'));
    this._remember(true);
    this._making ??= this._made().catch(() => this._lost());
    this._tutor = await this._making;
  }

  /** The service went away after this page was loaded. */
  _lost() {
    const close = h('button', { type: 'button', class: 'retry', onclick: () => this.close() }, this._say('close'));
    this._panel.replaceChildren(h('div', { class: 'lost' }, h('p', null, this._say('failures.UNREACHABLE')), close));
    close.focus();
    this._making = null;
  }

  async _made() {
    const { Tutor } = await import('./tutor.js');
    return new Tutor(this._panel, {
      server: this._server,
      title: this._title,
      say: this._say,
      page: () => location.pathname,
      close: () => this.close(),
      larger: this._layout === 'floating' ? () => this._panel.classList.toggle('large') : null,
      disclaimer: this._options.disclaimer,
      books: this._options.books,
      questions: () => this._questions(),
      keep: this._keeps,
      happened: (event, detail) => this._happened(event, detail),
    });
  }

  /** Example questions: the author's, else of the page's own headings; empty: of the book's outline. */
  _questions() {
    const { questions } = this._options;
    if (questions) {
      try {
        return [JSON.parse(questions)].flat().map(String);
      } catch {
        return questions.split('|').map((each) => each.trim()).filter(Boolean);
      }
    }
    const around = document.querySelector('main, article, [role="main"]');
    const titles = [...(around?.querySelectorAll('h2') ?? [])].map((each) => each.innerText.replace(/[\u200b#]/g, '').trim());
    return titles.filter(Boolean).slice(0, HEADINGS).map((title) => this._say('example', { title }));
  }

  /** Whether the panel is open again after the next page was loaded. */
  _remember(open) {
    try {
      if (this._keeps) sessionStorage.setItem(OPEN, open ? 'yes' : 'no');
      else sessionStorage.removeItem(OPEN);
    } catch {
      // Storage is forbidden: the panel stays closed after the page was left.
    }
  }

  _key(event) {
    if (event.key === 'Escape') {
      if (!this._panel.hidden) this.close();
      this._bubble.hidden = true;
    } else if (event.key === 'Tab' && !this._panel.hidden) {
      this._stayInside(event);
    }
  }

  /** Tab goes round inside the panel. */
  _stayInside(event) {
    const stops = Array.from(
      this._panel.querySelectorAll('a[href], button:enabled, textarea, input, [tabindex="0"]'),
    ).filter((element) => element.checkVisibility());
    const edge = event.shiftKey ? stops[0] : stops.at(-1);
    if (this._panel.getRootNode().activeElement !== edge) return;
    event.preventDefault();
    (event.shiftKey ? stops.at(-1) : stops[0]).focus();
  }

  _showBubble() {
    const marked = this._pressed ? null : markedText();
    this._bubble.hidden = !marked;
    if (!marked) return;
    const { offsetWidth: width, offsetHeight: height } = this._bubble;
    const { left, top, bottom } = marked.box;
    const below = bottom + 8 + height < innerHeight ? bottom + 8 : top - height - 8;
    // The end of a long text may be above or below the window.
    this._bubble.style.top = `${Math.max(8, Math.min(below, innerHeight - height - 8))}px`;
    this._bubble.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  }
}

/** What is marked on the page, and where its last line is; null when it is nothing to ask about. */
function markedText() {
  const selection = document.getSelection();
  if (!selection?.rangeCount || selection.isCollapsed) return null;
  const text = selection.toString().trim();
  const node = selection.anchorNode;
  const around = node instanceof Element ? node : node?.parentElement;
  if (text.length < 3 || !around || around.closest('[data-preceptor], input, textarea, [contenteditable]')) return null;
  const box = Array.from(selection.getRangeAt(0).getClientRects()).at(-1);
  // Cut, but not through a letter of two units.
  return box ? { text: text.slice(0, LONGEST_MARK).replace(/[\uD800-\uDBFF]$/, ''), box } : null;
}

function remembered() {
  try {
    return sessionStorage.getItem(OPEN) === 'yes';
  } catch {
    return false;
  }
}
