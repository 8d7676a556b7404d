/** The conversation with the tutor: the same on the page and in the widget. */

import { directed, direction, h, icon, webAddress } from './dom.js';
import { ask, bearing, JSON_BODY } from './stream.js';
import { Turn } from './turn.js';
import { wordsFor } from './words.js';

const KEPT_TURNS = 20;
const SHORTEST_QUESTION = 2;
const EXAMPLES = 4;

export class Tutor {
  /**
   * Build the conversation inside `root`, and go on with the one of this tab, if there is one.
   *
   * @param root an element; its contents are replaced
   * @param server URL of the service, with a slash at its end
   * @param title of the book
   * @param language of the interface, a BCP 47 tag
   * @param page gives the path of the page that the reader is on; null on the tutor's own page
   * @param close what the close button does; null: there is none
   */
  constructor(root, { server, title, language, page = null, close = null }) {
    this._server = server;
    this._words = wordsFor(language);
    this._page = page;
    this._memory = `preceptor:1:${server.href}`;
    this._running = null;
    this._session = null;
    this._key = null;
    this._turns = [];
    this._marked = '';

    this._log = h('div', { class: 'log', role: 'region', 'aria-label': this._words.conversation, tabindex: '0' });
    this._said = h('p', { class: 'hidden', role: 'status' });
    this._root = root;
    root.dir = this._words.dir;
    root.replaceChildren(this._header(title || this._words.ask, close), this._log, this._composer(), this._said);
    this._update();
    followKeyboard(root);
    this._restore();
  }

  /** Put the cursor where the question goes. */
  focus() {
    this._field.focus();
  }

  /** Ask about a text that the reader marked on the page. */
  mark(text) {
    this._marked = text;
    this._onlyThis.checked = false;
    directed(this._markedText, text).textContent = text;
    this._markedBox.hidden = !text;
    this._field.placeholder = text ? this._words.placeholderMarked : this._words.placeholder;
    this._update();
  }

  /** Forget the conversation and begin another. */
  restart() {
    this._running?.abort();
    this._session = null;
    this._turns = [];
    this._keep();
    this._welcome();
    this.focus();
  }

  _header(title, close) {
    const button = (name, action) =>
      h(
        'button',
        { type: 'button', class: 'icon', 'aria-label': this._words[name], title: this._words[name], onclick: action },
        icon(name),
      );
    return h(
      'header',
      null,
      h(close ? 'h2' : 'h1', null, h('bdi', null, title)),
      button('fresh', () => this.restart()),
      close ? button('close', close) : null,
    );
  }

  _composer() {
    this._markedText = h('blockquote', null);
    this._onlyThis = h('input', { type: 'checkbox' });
    this._markedBox = h(
      'div',
      { class: 'marked', hidden: true },
      this._markedText,
      h('label', null, this._onlyThis, this._words.onlyThis),
      h(
        'button',
        { type: 'button', class: 'icon', 'aria-label': this._words.remove, title: this._words.remove, onclick: () => this._unmark() },
        icon('close'),
      ),
    );
    this._field = h('textarea', {
      rows: '1',
      placeholder: this._words.placeholder,
      'aria-label': this._words.placeholder,
      enterkeyhint: 'send',
      oninput: () => this._update(),
      onkeydown: (event) => this._pressed(event),
    });
    this._button = h('button', { type: 'submit', class: 'send' });
    const form = h('form', { class: 'composer' }, this._markedBox, h('div', { class: 'field' }, this._field, this._button));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this._running) this._running.abort();
      else this._send();
    });
    return form;
  }

  _unmark() {
    this.mark('');
    this.focus();
  }

  _pressed(event) {
    // While a word is being composed (Japanese, Urdu phonetic, …), Enter ends the word.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this._running) this._send();
  }

  /** The button and the height of the field follow what is in it and whether an answer is running. */
  _update() {
    const name = this._running ? 'stop' : 'send';
    if (this._button.dataset.name !== name) {
      this._button.dataset.name = name;
      this._button.replaceChildren(icon(name));
      this._button.setAttribute('aria-label', this._words[name]);
      this._button.title = this._words[name];
    }
    this._button.disabled = !this._running && !this._question();
    this._field.dir = this._field.value ? 'auto' : this._words.dir;
    this._field.style.height = 'auto';
    this._field.style.height = `${this._field.scrollHeight}px`;
  }

  /** What would be asked now; a marked text needs no words of its own. */
  _question() {
    const typed = this._field.value.trim();
    if (!typed && this._marked) return this._words.explain;
    return typed.length >= SHORTEST_QUESTION ? typed : '';
  }

  _send() {
    const content = this._question();
    if (!content) return;
    const asked = { content };
    if (this._marked) asked.selected_text = this._marked;
    if (this._marked && this._onlyThis.checked) asked.mode = 'selected_text_only';
    this._field.value = '';
    this.mark('');
    this._ask(asked);
  }

  _ask(asked) {
    const turn = this._show(this._page ? { ...asked, source_page: this._page() } : asked);
    this._toLast();
    this._run(turn);
  }

  /** Let the tutor answer a turn, for the first time or again. */
  async _run(turn) {
    const running = new AbortController();
    this._running = running;
    this._update();
    turn.begin();
    try {
      await this._listen(turn, running.signal);
      this._say(`${turn.text} ${this._words.ready(turn.body.sources.length)}`);
    } catch (error) {
      if (running.signal.aborted) turn.stop();
      else this._say(turn.fail(error, (key) => this._again(turn, key)));
    } finally {
      if (this._running === running) this._running = null;
      this._update();
      this._keep();
    }
  }

  async _listen(turn, signal) {
    const url = new URL('api/v1/chat', this._server);
    const question = { ...turn.asked, stream: true, ...(this._session && { session_id: this._session }) };
    try {
      for await (const { event, data } of ask(url, question, { key: this._key, signal })) {
        if (event === 'start') this._session = data.session_id;
        turn.take(event, data);
        if (event === 'status') this._say(this._words[data.phase]);
        if (event === 'restart') this._say(this._words.restarted);
      }
    } catch (error) {
      if (error.code !== 'SESSION_NOT_FOUND' || !question.session_id) throw error;
      this._session = null;
      turn.note(this._words.expired);
      await this._listen(turn, signal);
    }
  }

  _again(turn, key) {
    if (this._running) return;
    this._key = key ?? this._key;
    this.focus();
    this._run(turn);
  }

  /** Whether the service kept it. */
  async _rate(responseId, rating) {
    const response = await fetch(new URL('api/v1/feedback', this._server), {
      method: 'POST',
      headers: { ...JSON_BODY, ...bearing(this._key) },
      body: JSON.stringify({ response_id: responseId, rating }),
    }).catch(() => null);
    // The service keeps no feedback: do not ask for it.
    if (response?.status === 404) this._root.classList.add('unrated');
    return Boolean(response?.ok);
  }

  /** For those who listen: what happens, and the whole answer when it is complete, not piece by piece. */
  _say(text) {
    this._said.textContent = text ?? '';
  }

  _show(asked) {
    if (!this._turns.length) this._log.replaceChildren();
    const turn = new Turn(asked, {
      words: this._words,
      opens: (address) => this._opens(address),
      rate: (responseId, rating) => this._rate(responseId, rating),
    });
    this._log.append(turn.element);
    this._turns.push(turn);
    return turn;
  }

  /** In the book itself a source opens in this tab; from the tutor's own page, in another one. */
  _opens(address) {
    const url = webAddress(address);
    if (!url) return {};
    const here = this._page && url.origin === location.origin;
    return here ? { href: url.href, 'data-here': true } : { href: url.href, target: '_blank', rel: 'noopener' };
  }

  /** The last question goes to the top; its answer grows below it, and nothing moves while it is read. */
  _toLast() {
    this._log.scrollTop = this._turns.at(-1).element.offsetTop - this._log.firstElementChild.offsetTop;
  }

  _welcome() {
    this._log.replaceChildren(
      h('div', { class: 'welcome' }, h('h2', null, this._words.welcome), h('p', null, this._words.promise)),
    );
    this._suggest(this._log.firstElementChild);
  }

  /** A few questions from the book's outline, if the service tells it. */
  async _suggest(welcome) {
    const url = new URL('api/v1/chapters', this._server);
    const response = await fetch(url, { headers: bearing(this._key) }).catch(() => null);
    if (!response?.ok) return;
    const { chapters } = await response.json();
    const count = Math.min(EXAMPLES, chapters.length);
    const examples = Array.from({ length: count }, (_, place) => {
      const { title } = chapters[Math.floor(((place + 0.5) * chapters.length) / count)];
      const words = direction(title) === 'rtl' ? wordsFor('ur') : this._words;
      const question = words.example(title);
      return directed(h('button', { type: 'button', onclick: () => this._ask({ content: question }) }, question));
    });
    welcome.append(h('div', { class: 'examples' }, ...examples));
  }

  _keep() {
    const turns = this._turns.filter((turn) => turn.body).slice(-KEPT_TURNS);
    try {
      const kept = { key: this._key, session: this._session, turns: turns.map(({ asked, body }) => ({ asked, body })) };
      sessionStorage.setItem(this._memory, JSON.stringify(kept));
    } catch {
      // Storage is full or forbidden: the conversation lasts as long as the page.
    }
  }

  _restore() {
    let kept = null;
    try {
      kept = JSON.parse(sessionStorage.getItem(this._memory));
    } catch {
      // As above.
    }
    this._key = kept?.key ?? null;
    if (!kept?.turns?.length) {
      this._welcome();
      return;
    }
    this._session = kept.session;
    for (const { asked, body } of kept.turns) this._show(asked).complete(body);
    this._toLast();
  }
}

/** The on-screen keyboard covers part of the window: tell CSS what is left of it. */
function followKeyboard(root) {
  const seen = window.visualViewport;
  if (!seen) return;
  const fit = () => {
    const zoomed = seen.scale > 1.01;
    root.style.setProperty('--window-top', zoomed ? '0px' : `${seen.offsetTop}px`);
    root.style.setProperty('--window-height', zoomed ? '100dvh' : `${seen.height}px`);
  };
  seen.addEventListener('resize', fit);
  seen.addEventListener('scroll', fit);
  fit();
}
