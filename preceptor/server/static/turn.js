/** One question and its answer, as the reader sees them. */

import { directed, h, icon } from './dom.js';
import { Markdown } from './markdown.js';

const TUTORS = { gemini: 'Gemini', openai: 'OpenAI' };

export class Turn {
  /**
   * @param asked `{content, selected_text?, mode?}` as it is sent
   * @param words strings of the interface
   * @param opens attributes of a link to a source's address
   * @param rate called with the answer's id and 1 or -1
   */
  constructor(asked, { words, opens, rate }) {
    this.asked = asked;
    /** The contract's body, once the answer is complete. */
    this.body = null;
    this._words = words;
    this._opens = opens;
    this._rate = rate;
    this._reply = h('div', { class: 'reply' });
    this.element = h('article', { class: 'turn' }, this._question(), this._reply);
    this.begin();
  }

  /** The answer as it is shown, without its marks. */
  get text() {
    return this._answer.element.textContent;
  }

  /** Begin the answer, for the first time or after an error. */
  begin() {
    this._text = '';
    this._sources = new Map();
    this._frame = 0;
    this._answer = new Markdown(this._words, { cite: (number) => this._sources.get(number), opens: this._opens });
    this._notes = h('div', { class: 'notes' });
    this._status = h('p', { class: 'status' }, this._words.searching);
    this._reply.replaceChildren(
      h('h2', { class: 'hidden' }, this._words.answer),
      this._notes,
      this._answer.element,
      this._status,
    );
    this._reply.setAttribute('aria-busy', 'true');
  }

  /** Take one event of the stream. */
  take(event, data) {
    if (event === 'status') this._status.textContent = this._words[data.phase] ?? '';
    else if (event === 'source') this._sources.set(data.n, data);
    else if (event === 'token') this._grow(data.content);
    else if (event === 'restart') this._restart();
    else if (event === 'done') this.complete(data);
  }

  /** Say something beside the answer. */
  note(text) {
    this._notes.append(h('p', { class: 'note' }, text));
  }

  /** Show the whole answer. */
  complete(body) {
    this.body = body;
    this._text = body.answer;
    this._sources = new Map(body.sources.map((source) => [source.n, source]));
    this._end();
    if (body.truncated) this._reply.append(h('p', { class: 'note' }, this._words.truncated));
    // The offline tutor says so itself.
    if (body.in_book === false && body.provider !== 'offline') this._reply.append(h('p', { class: 'note' }, this._words.uncited));
    this._reply.append(this._footer(body));
  }

  /** The reader stopped the answer: what is there stays. */
  stop() {
    this._end();
    this._reply.append(h('p', { class: 'note' }, this._words.stopped));
  }

  /** There was an error; `again` is called when the reader wants another try, with a key if one is needed. */
  fail(error, again) {
    this._end();
    if (this._text) this._reply.append(h('p', { class: 'note' }, this._words.interrupted));
    const text = this._words.failures[error.code] ?? ((error.code && error.message) || this._words.failed);
    const retry = h('button', { class: 'retry' }, this._words.retry);
    const key = error.code === 'AUTHENTICATION_ERROR' ? keyField(this._words) : null;
    const form = h('form', null, key, retry);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      again(key?.value.trim());
    });
    this._reply.append(h('div', { class: 'error' }, icon('alert'), directed(h('p', null, text)), form));
    waited(retry, Math.ceil(error.retryAfter), this._words);
    return text;
  }

  _question() {
    const { content, selected_text: marked } = this.asked;
    return h(
      'div',
      { class: 'question' },
      h('h2', { class: 'hidden' }, this._words.youAsked),
      marked ? directed(h('blockquote', null, marked)) : null,
      directed(h('p', null, content)),
    );
  }

  _grow(text) {
    this._text += text;
    this._status.hidden = true;
    this._frame ||= requestAnimationFrame(() => {
      this._frame = 0;
      this._answer.show(this._text);
    });
  }

  _restart() {
    this._text = '';
    this._sources.clear();
    this._answer.show('');
    this._status.hidden = false;
    this._notes.replaceChildren();
    this.note(this._words.restarted);
  }

  _end() {
    cancelAnimationFrame(this._frame);
    this._frame = 0;
    this._answer.show(this._text);
    this._status.remove();
    this._reply.setAttribute('aria-busy', 'false');
    if (this._sources.size) this._reply.append(this._list('sources', this._words.sources, this._sources.values()));
    const related = this.body?.also_relevant ?? [];
    if (!this._sources.size && related.length) this._reply.append(this._list('related', this._words.related, related));
  }

  _list(name, title, sources) {
    const numbered = name === 'sources';
    const list = h('ol', { class: 'cards' }, ...Array.from(sources, (source) => this._source(source, numbered)));
    return directed(h('div', { class: name }, h('h3', null, title), list), this._text);
  }

  _source(source, numbered) {
    const place = source.breadcrumb ?? [];
    const name = place.at(-1) || source.title;
    const above = place.slice(0, -1).join(' › ');
    const card = h(
      'li',
      null,
      numbered ? h('span', { class: 'number', 'aria-hidden': 'true' }, String(source.n)) : null,
      h(
        'div',
        null,
        h('a', this._opens(source.url), name),
        above ? h('p', { class: 'breadcrumb' }, above) : null,
        source.quote ? h('blockquote', null, source.quote) : null,
      ),
    );
    return directed(card, name + source.quote);
  }

  _footer(body) {
    const named = (tutor) => TUTORS[tutor] ?? (tutor === 'offline' ? this._words.offlineTutor : tutor);
    const by = this._words.answeredBy(named(body.provider));
    const model = body.model && body.model !== body.provider ? ` · ${body.model}` : '';
    const left = (body.failover ?? [])
      .filter(({ reason }) => reason !== 'not_configured')
      .map(({ from, reason }) => this._words.left(named(from), reason.replaceAll('_', ' ')));
    return h(
      'footer',
      null,
      h('p', null, h('span', { class: 'tutor-name' }, h('bdi', null, by + model)), ...left.map((text) => ` · ${text}`)),
      h('div', { class: 'rating' }, this._thumb(1, 'up', this._words.helpful), this._thumb(-1, 'down', this._words.unhelpful)),
    );
  }

  _thumb(rating, picture, label) {
    const button = h(
      'button',
      { type: 'button', class: 'icon', 'aria-label': label, title: label, 'aria-pressed': 'false' },
      icon(picture),
    );
    button.addEventListener('click', async () => {
      const thumbs = [...button.parentElement.children];
      const before = thumbs.map((thumb) => thumb.getAttribute('aria-pressed'));
      for (const thumb of thumbs) thumb.setAttribute('aria-pressed', String(thumb === button));
      if (await this._rate(this.body.response_id, rating)) return;
      thumbs.forEach((thumb, place) => thumb.setAttribute('aria-pressed', before[place]));
    });
    return button;
  }
}

function keyField(words) {
  return h('input', { type: 'password', required: true, autocomplete: 'off', placeholder: words.key, 'aria-label': words.key });
}

/** Count the seconds down on a button that must not be pressed yet. */
function waited(button, seconds, words) {
  button.disabled = seconds > 0;
  button.textContent = seconds > 0 ? words.retryIn(seconds) : words.retry;
  if (seconds > 0) setTimeout(() => waited(button, seconds - 1, words), 1000);
}
