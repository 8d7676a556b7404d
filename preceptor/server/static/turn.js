/** One question and its answer, as the reader sees them. */

import { directed, h, icon, webAddress } from './dom.js';
import { Markdown } from './markdown.js';
import { copyButton } from './rich.js';
import { nameOf, quoted, sourceList } from './sources.js';
import { nextFrame, nextTask } from './tasks.js';

/** Questions that are suggested after an answer, beside the two that fit every answer. */
const SUGGESTED = 3;
/** Words that come within one frame are shown together. */
const FRAME_MS = 16;
const TUTORS = { gemini: 'Gemini', openai: 'OpenAI' };

/** Errors after which the same question may be answered. */
const PASSING = new Set([
  'UNREACHABLE', 'CONNECTION_LOST', 'AUTHENTICATION_ERROR', 'RATE_LIMIT_EXCEEDED', 'SESSION_BUSY', 'SERVICE_UNAVAILABLE',
  'DEADLINE_EXCEEDED', 'REQUEST_TIMEOUT', 'INTERNAL_ERROR', 'HTTP_502', 'HTTP_503', 'HTTP_504',
]);

/**
 * A turn as it is kept: `{id, at, asked, state, text, sources, notes, responseId?, body?, error?, rated?, beat?, tab?}`.
 *
 * `asked` is `{content, selected_text?, mode?}` as it is sent; `state` is `running`, `queued` (sent when the network is
 * back), `done`, `stopped` (by the reader), `left` (the page went away) or `failed`; `body` is the contract's.
 */
export const newRecord = (asked) => ({
  id: crypto.getRandomValues(new Uint32Array(4)).join('-'),
  at: Date.now(),
  asked,
  state: 'running',
  text: '',
  sources: [],
  notes: [],
});

export class Turn {
  /**
   * @param record the turn as it is kept; this object keeps it up to date
   * @param say strings of the interface
   * @param opens attributes of a link to a source's address
   * @param acts what the reader can do: `rate(turn, rating, comment)`, `again(turn, key)`, `edit(turn)`, `later(turn)`,
   *   `ask(question)`, `share(question)`; `grew()`, called when there is more of the answer to see, and `filled()`, when there is more of one
   *   that was kept
   * @param language of the book
   */
  constructor(record, { say, opens, acts, language }) {
    this.record = record;
    this._say = say;
    this._opens = opens;
    this._acts = acts;
    this._language = language;
    /** A promise of the whole text's having been shown. */
    this.shown = null;
    this._reply = h('div', { class: 'reply' });
    this.element = h('article', { class: 'turn' }, this._question(), this._reply);
    this.restore(record);
  }

  /** The answer as it is read out: without marks and buttons, formulas as TeX, and a pause after each block. */
  get text() {
    const said = this._answer.element.cloneNode(true);
    for (const each of said.querySelectorAll('.bar, button')) each.remove();
    for (const each of said.querySelectorAll('[data-tex]')) each.textContent = each.dataset.tex;
    for (const each of said.querySelectorAll('p, li, pre, th, td, h1, h2, h3, h4, h5, h6, .display')) each.append(' ');
    return said.textContent.replace(/\s+/g, ' ').trim();
  }

  /** Begin the answer, for the first time or after an error. */
  begin() {
    Object.assign(this.record, { state: 'running', text: '', sources: [], notes: [], body: undefined, error: undefined });
    this._clear();
    this._live = true;
  }

  /** Take one event of the stream. */
  take(event, data) {
    if (event === 'start') this.record.responseId = data.response_id;
    else if (event === 'status') this._status.textContent = this.progress(data);
    else if (event === 'source') this._cite(data);
    else if (event === 'token') this._grow(data.content);
    else if (event === 'restart') this._restart();
    else if (event === 'done') this.complete(data);
  }

  /** What the tutor does now, with the words that it looks for. */
  progress({ phase, about }) {
    const named = { searching: 'searchingFor', reading: 'readingOf' }[phase];
    return (about && named ? this._say(named, { about }) : this._say(phase)) ?? '';
  }

  /** The source with a number. */
  source(number) {
    return this._sources.get(number);
  }

  /** Say something beside the answer; `name` is one of the strings. */
  note(name) {
    this.record.notes.push(name);
    this._notes.append(h('p', { class: 'note' }, this._say(name)));
  }

  /** The whole answer is here. */
  complete(body) {
    Object.assign(this.record, { state: 'done', body, text: body.answer, sources: body.sources, error: undefined });
    this._show();
  }

  /** The reader stopped the answer, or left the page: what is there stays. */
  stop(state = 'stopped') {
    this.record.state = state;
    this._show();
  }

  /** The question waits until the network is back. */
  queue() {
    this.record.state = 'queued';
    this.restore(this.record);
  }

  /** There was an error. Returns its text. */
  fail({ code, message, retryAfter }) {
    this.record.state = 'failed';
    this.record.error = { code, message, retryAfter };
    this._show();
    return this._told();
  }

  /** Show what was kept, here or in another tab. */
  restore(record) {
    this.record = record;
    this._clear();
    for (const name of record.notes) this._notes.append(h('p', { class: 'note' }, this._say(name)));
    this._sources = new Map(record.sources.map((source) => [source.n, source]));
    if (record.state === 'running') {
      this._status.textContent = this._say(record.tab ? 'elsewhere' : 'searching');
      this._answer.show(record.text);
    } else {
      // The seconds to wait went by.
      if (record.error) record.error.retryAfter = 0;
      this._show();
    }
  }

  _clear() {
    this._sources = new Map();
    clearTimeout(this._soon);
    this._soon = 0;
    this._answer = new Markdown(this._say, {
      cite: (number) => this._sources.get(number),
      opens: this._opens,
      // What was kept is shown from its question on; only what comes now is followed.
      grew: () => (this._live ? this._acts.grew() : this._acts.filled()),
    });
    this._notes = h('div', { class: 'notes' });
    this._status = h('p', { class: 'status' }, this._say('searching'));
    this._below = h('div', { class: 'below' });
    this._reply.replaceChildren(
      h('h2', { class: 'hidden' }, this._say('answer')),
      this._notes,
      this._answer.element,
      this._status,
      this._below,
    );
    this._reply.setAttribute('aria-busy', 'true');
    this._speaks(this._language());
  }

  /** The answer's language. Another one has the style of all that is in it worked out again. */
  _speaks(language = '') {
    const { element } = this._answer;
    if (element.getAttribute('lang') !== language) element.lang = language;
  }

  _question() {
    const { content, selected_text: marked } = this.record.asked;
    return h(
      'div',
      { class: 'question' },
      h('h2', { class: 'hidden' }, this._say('youAsked')),
      marked ? directed(h('blockquote', null, marked)) : null,
      directed(h('p', null, content)),
      this._iconButton('edit', () => this._acts.edit(this)),
    );
  }

  _cite(source) {
    this._sources.set(source.n, source);
    this.record.sources = [...this._sources.values()];
  }

  _grow(text) {
    this.record.text += text;
    this._status.hidden = true;
    this._soon ||= setTimeout(() => {
      this._soon = 0;
      this._answer.show(this.record.text);
    }, FRAME_MS);
  }

  _restart() {
    this.record.text = '';
    this.record.sources = [];
    this._sources.clear();
    this._answer.show('');
    this._status.hidden = false;
    this._notes.replaceChildren();
    this.record.notes = [];
    this.note('restarted');
  }

  /** The answer as it stayed, and what belongs below it. */
  _show() {
    const { body, text } = this.record;
    clearTimeout(this._soon);
    this._soon = 0;
    this._sources = new Map(this.record.sources.map((source) => [source.n, source]));
    this._status.hidden = true;
    this._speaks(body?.language ?? this._language());
    this.shown = this._answer.show(text, true);
    if (this._live) this._thenBelow();
    else this._showBelow();
  }

  /** The text first; what belongs below it in a task of its own, unless the answer has begun anew by then. */
  async _thenBelow() {
    const below = this._below;
    // What came before the end is followed; what comes as a whole is read from its beginning.
    await nextFrame();
    if (this._below !== below) return;
    this._live = false;
    await this.shown;
    await nextTask();
    if (this._below === below) this._showBelow();
  }

  _showBelow() {
    const { state, body, text } = this.record;
    this._below.replaceChildren();
    this._reply.setAttribute('aria-busy', 'false');
    if (this._sources.size) this._below.append(this._list('sources', [...this._sources.values()]));
    const related = body?.also_relevant ?? [];
    if (!this._sources.size && related.length) this._below.append(this._list('related', related));
    if (state === 'done') this._finish(body);
    else if (state === 'stopped') this._add('stopped');
    else if (text || state === 'left') this._add('interrupted');
    if (state !== 'done') this._below.append(this._remedy());
  }

  _add(name) {
    this._below.append(h('p', { class: 'note' }, this._say(name)));
  }

  _finish(body) {
    for (const artifact of body.artifacts ?? []) this._below.append(this._artifact(artifact));
    if (body.truncated) this._add('truncated');
    // The offline tutor says so itself.
    if (body.in_book === false && body.provider !== 'offline') this._add('uncited');
    this._below.append(this._footer(body), this._next(body));
  }

  /** What went wrong, and what the reader can do about it. */
  _remedy() {
    const { state, error } = this.record;
    const button = (name, action) => h('button', { type: 'button', class: 'retry', onclick: action }, this._say(name));
    const edit = button('edit', () => this._acts.edit(this));
    if (state === 'queued' || error?.code === 'OFFLINE') {
      const later = state === 'queued' ? null : button('sendLater', () => this._acts.later(this));
      return this._alert(this._say(state === 'queued' ? 'queued' : 'offline'), h('div', { class: 'ways' }, later, edit));
    }
    const again = h('button', { class: 'retry' }, this._say('retry'));
    if (state !== 'failed') {
      again.addEventListener('click', () => this._acts.again(this));
      return h('div', { class: 'ways' }, again, edit);
    }
    if (!PASSING.has(error.code)) return this._alert(this._told(), h('div', { class: 'ways' }, edit));
    const key = error.code === 'AUTHENTICATION_ERROR' ? keyField(this._say) : null;
    const form = h('form', { class: 'ways' }, key, again);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this._acts.again(this, key?.value.trim());
    });
    waited(again, Math.ceil(error.retryAfter || 0), this._say);
    return this._alert(this._told(), form);
  }

  _alert(text, ways) {
    return h('div', { class: 'error' }, icon('alert'), h('p', null, text), ways);
  }

  /** The error in the reader's language; to readers of English the service's own words say more. */
  _told() {
    const { code, message } = this.record.error;
    const text = this._say(`failures.${code}`);
    const more = this._say.lang === 'en' && (!text || code === 'VALIDATION_ERROR') ? message : '';
    return [text ?? (more ? '' : this._say('failed')), more].filter(Boolean).join(' ');
  }

  _list(name, sources) {
    const list = sourceList(name, this._say(name), sources, { say: this._say, opens: this._opens });
    for (const cards of list.querySelectorAll('.cards')) cards.lang = this._language() ?? '';
    return directed(list, this.record.text);
  }

  /** What a tool made: a picture as a link, since pages load none from elsewhere, and a table. */
  _artifact({ kind, title, data }) {
    const cells = (row, tag) => h('tr', null, ...row.map((cell) => h(tag, null, String(cell))));
    let shown = null;
    if (kind === 'image') shown = h('a', this._opens(data.url), data.alt || data.url);
    else if (kind === 'table')
      shown = h('table', null, cells(data.columns ?? [], 'th'), ...(data.rows ?? []).map((row) => cells(row, 'td')));
    return directed(h('figure', { class: 'artifact' }, shown, h('figcaption', null, title)), title);
  }

  _footer(body) {
    const named = (tutor) => TUTORS[tutor] ?? (tutor === 'offline' ? this._say('offlineTutor') : tutor);
    const by = body.provider ? this._say('answeredBy', { tutor: named(body.provider) }) : '';
    const model = body.model && body.model !== body.provider ? ` · ${body.model}` : '';
    const left = (body.failover ?? []).filter(({ reason }) => reason !== 'not_configured').map((note) => this._left(named, note));
    return h(
      'footer',
      null,
      h('p', null, h('span', { class: 'tutor-name' }, h('bdi', null, by + model)), ...left.map((text) => ` · ${text}`)),
      h(
        'div',
        { class: 'tools' },
        this._copy(body),
        this._iconButton('share', () => this._acts.share(this.record.asked.content)),
        this._iconButton('regenerate', () => this._acts.again(this)),
        h('span', { class: 'rating' }, this._thumb(1, 'up', 'helpful'), this._thumb(-1, 'down', 'unhelpful')),
      ),
    );
  }

  _iconButton(name, action) {
    const label = this._say(name);
    return h('button', { type: 'button', class: `icon ${name}`, 'aria-label': label, title: label, onclick: action }, icon(name));
  }

  /** The answer as Markdown; its markers are references to the sources' whole addresses. */
  _copy(body) {
    const references = (body.sources ?? []).map((source) => {
      const url = webAddress(quoted(source.url, source.quote))?.href;
      return url ? `[${source.n}]: <${url}> "${nameOf(source).replaceAll('"', "'")}"` : '';
    });
    const text = [body.answer, references.filter(Boolean).join('\n')].filter(Boolean).join('\n\n');
    return copyButton(() => text, this._say, 'copyAnswer');
  }

  /** What could be asked next: of what was found and not cited, and what fits every answer. */
  _next(body) {
    const cited = new Set((body.sources ?? []).map(nameOf));
    const names = new Set((body.also_relevant ?? []).map(nameOf).filter((name) => name && !cited.has(name)));
    const found = [...names].slice(0, SUGGESTED).map((title) => this._say('example', { title }));
    const button = (label, question) =>
      directed(h('button', { type: 'button', onclick: () => this._acts.ask(question) }, label));
    return h(
      'div',
      { class: 'next examples' },
      ...found.map((question) => button(question, question)),
      button(this._say('simpler'), this._say('simplerQuestion')),
      button(this._say('anExample'), this._say('exampleQuestion')),
    );
  }

  /** Room for a word on the rating. */
  _comment(rating) {
    this._below.querySelector('.comment')?.remove();
    const label = this._say('comment');
    const field = h('input', { type: 'text', maxlength: '4000', placeholder: label, 'aria-label': label });
    const form = h('form', { class: 'comment ways' }, field, h('button', { class: 'retry' }, this._say('send')));
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      if (!field.value.trim() || !(await this._acts.rate(this, rating, field.value.trim()))) return;
      form.replaceWith(h('p', { class: 'note', role: 'status' }, this._say('thanks')));
    });
    this._below.querySelector('footer').after(form);
    // On a phone it would lie below the window.
    form.scrollIntoView({ block: 'nearest' });
  }

  _left(named, { from, reason }) {
    const known = this._say(`reasons.${reason}`);
    return this._say(known ? 'leftFor' : 'left', { tutor: named(from), reason: known });
  }

  _thumb(rating, picture, name) {
    const label = this._say(name);
    const pressed = String(this.record.rated === rating);
    const button = h(
      'button',
      { type: 'button', class: 'icon', 'aria-label': label, title: label, 'aria-pressed': pressed },
      icon(picture),
    );
    button.addEventListener('click', async () => {
      const thumbs = [...button.parentElement.children];
      const before = thumbs.map((thumb) => thumb.getAttribute('aria-pressed'));
      for (const thumb of thumbs) thumb.setAttribute('aria-pressed', String(thumb === button));
      if (await this._acts.rate(this, rating)) {
        this._comment(rating);
        return;
      }
      thumbs.forEach((thumb, place) => thumb.setAttribute('aria-pressed', before[place]));
    });
    return button;
  }
}

function keyField(say) {
  const label = say('key');
  return h('input', { type: 'password', required: true, autocomplete: 'off', placeholder: label, 'aria-label': label });
}

/** Count the seconds down on a button that must not be pressed yet. */
function waited(button, seconds, say) {
  button.disabled = seconds > 0;
  button.textContent = seconds > 0 ? say('retryIn', { seconds }) : say('retry');
  if (seconds > 0) setTimeout(() => waited(button, seconds - 1, say), 1000);
}
