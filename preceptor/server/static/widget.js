/** The tutor on any site: a button, a bubble at marked text, and a panel, all inside one shadow root. */

import { h, icon } from './dom.js';
import { wordsFor } from './words.js';

const LONGEST_MARK = 8000;
const PHONE = matchMedia('(max-width: 480px)');
const OPEN = 'preceptor:open';

/**
 * Put the widget on this page.
 *
 * @param server URL of the service, with a slash at its end
 * @param title of the panel and the button
 * @param color accent colour, any CSS colour
 * @param position corner of the window, `right` or `left`
 * @param lang language of the interface; default: the page's
 * @returns `{open, close}`, what `window.Preceptor` resolves to
 */
export async function openWidget(server, { title, color, position, lang }) {
  const language = lang || document.documentElement.lang || 'en';
  const [say, ...sheets] = await Promise.all([
    wordsFor(language),
    ...['tutor.css', 'widget.css'].map((name) => sheet(new URL(`static/${name}`, server))),
  ]);
  const widget = new Widget(server, { title, say, left: position === 'left' });
  if (color && CSS.supports('color', color)) widget.root.style.setProperty('--accent', color);
  const place = h('div', { 'data-preceptor': true });
  const shadow = place.attachShadow({ mode: 'open' });
  // Constructed sheets need no style-src of the page's Content-Security-Policy.
  shadow.adoptedStyleSheets = sheets;
  shadow.append(widget.root);
  if (!document.body) await new Promise((done) => addEventListener('DOMContentLoaded', done, { once: true }));
  document.body.append(place);
  widget.begin();
  return Object.freeze({ open: (marked) => widget.open(marked), close: () => widget.close() });
}

async function sheet(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return new CSSStyleSheet().replace(await response.text());
}

class Widget {
  constructor(server, { title, say, left }) {
    this._server = server;
    this._say = say;
    this._title = title || say('ask');
    this._tutor = null;
    this._making = null;
    this._pressed = false;
    this._panel = h('section', { class: 'panel tutor', role: 'dialog', 'aria-label': this._title, hidden: true });
    this._launcher = h(
      'button',
      { type: 'button', class: 'launcher', 'aria-haspopup': 'dialog', 'aria-label': this._title, onclick: () => this.open() },
      icon('book'),
      h('span', { 'aria-hidden': 'true' }, this._title),
    );
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
      { class: `preceptor ${left ? 'left' : 'right'}`, lang: say.lang, dir: say.dir },
      this._launcher,
      this._bubble,
      this._panel,
    );
    this.root.addEventListener('keydown', (event) => this._key(event));
    this._panel.addEventListener('click', (event) => {
      if (PHONE.matches && event.target.closest('a[data-here]')) this.close();
    });
    // Shortcuts of the page ("/" for search, say) are not for what is typed here.
    for (const kind of ['keydown', 'keypress', 'keyup']) {
      this.root.addEventListener(kind, (event) => event.stopPropagation());
    }
  }

  /** Follow the page: its theme, what is marked on it, whether the panel was open before it was loaded. */
  begin() {
    const html = document.documentElement;
    const follow = () => {
      const { theme } = html.dataset;
      this.root.dataset.theme = theme === 'dark' || theme === 'light' ? theme : 'auto';
    };
    new MutationObserver(follow).observe(html, { attributeFilter: ['data-theme'] });
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

    if (remembered() && !PHONE.matches) this._show();
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
    this._launcher.hidden = false;
    this._launcher.focus();
    remember(false);
  }

  async _show() {
    this._bubble.hidden = true;
    this._launcher.hidden = true;
    this._panel.hidden = false;
    this._panel.setAttribute('aria-modal', String(PHONE.matches));
    remember(true);
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
    });
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
    const below = bottom + 8 + height < innerHeight ? bottom + 8 : Math.max(8, top - height - 8);
    this._bubble.style.top = `${below}px`;
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

function remember(open) {
  try {
    sessionStorage.setItem(OPEN, open ? 'yes' : 'no');
  } catch {
    // Storage is forbidden: the panel stays closed after the page was left.
  }
}
