/** The conversation with the tutor: the same on the page and in the widget. */

import { Conversations } from './conversations.js';
import { directed, direction, h, icon, webAddress } from './dom.js';
import { warmUp } from './markdown.js';
import { SourceCard } from './sources.js';
import { ask, bearing, JSON_BODY, TutorError } from './stream.js';
import { nextFrame, nextTask } from './tasks.js';
import { newRecord, Turn } from './turn.js';
import { wordsFor } from './words.js';

const SHORTEST_QUESTION = 2;
/** Until the service has said what it takes. */
const LONGEST_QUESTION = 4000;
/** Characters left from which on the reader sees them counted. */
const NEARLY_FULL = 200;
/** An answer is kept this often while it grows. */
const KEEP_MS = 500;
/** The tab that has an answer made says so this often, … */
const BEAT_MS = 15_000;
/** … and is taken for gone after this silence: timers of a hidden tab run once in a minute. */
const GONE_MS = 90_000;
/** A new tab goes on with a conversation that is not older. */
const GOES_ON_MS = 24 * 3600 * 1000;
/** Pixels below the window from which on there is a button to the end. */
const FAR_PX = 160;
/** What is told beside the conversation stays for so long. */
const TOLD_MS = 6000;
/** The reader can take a deletion back for so long. */
const UNDO_MS = 8000;

export class Tutor {
  /**
   * Build the conversation inside `root`, and go on with the one of this tab or the latest one, if there is one.
   *
   * @param root an element; its contents are replaced
   * @param server URL of the service, with a slash at its end
   * @param title of the book
   * @param say strings of the interface
   * @param page gives the path of the page that the reader is on; null on the tutor's own page
   * @param close what the close button does; null: there is none
   * @param larger makes the panel larger or smaller and returns whether it is large; null: there is no button for it
   * @param disclaimer below the question; empty: none
   * @param books address of the page on which readers choose another book; empty: no link to it
   * @param questions gives examples for the empty conversation; where it gives none, they are made of the book's outline
   * @param keep false: nothing is kept in this browser
   * @param happened is told `question`, `answer`, `error` and `rating`
   */
  constructor(
    root,
    { server, title, say, page = null, close = null, larger = null, disclaimer, books, questions = () => [], keep = true, happened = () => {} },
  ) {
    this._server = server;
    this._say = say;
    this._page = page;
    this._disclaimer = disclaimer ?? say('disclaimer');
    this._books = books;
    this._examples = questions;
    this._happened = happened;
    this._prefix = `preceptor:2:${server.href}`;
    this._keeps = keep;
    this._kept = new Conversations(this._prefix, { lasting: keep });
    this._running = null;
    this._session = null;
    this._turns = [];
    this._own = new Set();
    this._removed = [];
    this._marked = '';
    this._longest = LONGEST_QUESTION;
    this._about = this._told();

    this._log = h('div', { class: 'log', role: 'region', 'aria-label': say('conversation'), tabindex: '0' });
    this._others = h('div', { class: 'others', hidden: true, role: 'region', 'aria-label': say('conversations'), tabindex: '0' });
    this._status = h('p', { class: 'hidden', role: 'status' });
    this._toEnd = this._iconButton('toEnd', () => this._end());
    this._toEnd.classList.add('to-end');
    this._toEnd.hidden = true;
    this._root = root;
    root.dir = say.dir;
    root.lang = say.lang;
    root.replaceChildren(
      this._header(title || say('ask'), close, larger),
      h('div', { class: 'middle' }, this._log, this._others, this._toEnd),
      this._composer(),
      this._status,
    );
    this._field.value = this._kept.draft;
    this._update();
    this._fit();
    this._card = new SourceCard(root, {
      say,
      opens: (address) => this._opens(address),
      look: (marker) => {
        const turn = this._turns.find(({ element }) => element.contains(marker));
        return turn?.source(Number(marker.textContent));
      },
    });
    root.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && (this._card.hide() || this._closeOthers())) event.stopPropagation();
    });
    this._log.addEventListener('scroll', () => this._scrolled(), { passive: true });
    followKeyboard(root);
    this._listenToOthers();
    this._key = this._ofTab('key');
    this._tab = this._ofTab('tab') ?? crypto.getRandomValues(new Uint32Array(2)).join('-');
    this._ofTab('tab', this._tab);
    this._go(this._ofTab('conversation') ?? this._latest());
    const place = h('div', { class: 'warming', 'aria-hidden': 'true' });
    root.append(place);
    warmUp(say, place).finally(() => place.remove());
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
    this._field.placeholder = this._say(text ? 'placeholderMarked' : 'placeholder');
    this._update();
    this._fit();
  }

  /** Begin another conversation; the one before stays in the list, and the reader can go back to it at once. */
  restart() {
    const before = this._conversation;
    const any = this._turns.length > 0;
    this._breakOff();
    this._go(newConversation());
    this.focus();
    if (any) this._offerUndo('begun', () => this._go(before));
  }

  _header(title, close, larger) {
    const expand = larger && this._iconButton('expand', () => expand.setAttribute('aria-pressed', String(larger())));
    return h(
      'header',
      // In the widget it is none of the site's landmarks.
      close ? { role: 'presentation' } : null,
      h(close ? 'h2' : 'h1', null, h('bdi', null, title)),
      this._keeps ? this._iconButton('conversations', () => this._listOthers(this._others.hidden)) : null,
      this._iconButton('fresh', () => this.restart()),
      expand,
      close ? this._iconButton('close', close) : null,
    );
  }

  _iconButton(name, action, label = this._say(name)) {
    return h('button', { type: 'button', class: 'icon', 'aria-label': label, title: label, onclick: action }, icon(name));
  }

  _composer() {
    this._markedText = h('blockquote', null);
    this._onlyThis = h('input', { type: 'checkbox' });
    this._markedBox = h(
      'div',
      { class: 'marked', hidden: true },
      this._markedText,
      h('label', null, this._onlyThis, this._say('onlyThis')),
      this._iconButton('close', () => this._unmark(), this._say('remove')),
    );
    this._undo = h('div', { class: 'undo', hidden: true, role: 'status' });
    this._count = h('p', { class: 'count', id: 'preceptor-count', hidden: true, 'aria-live': 'polite' });
    this._field = h('textarea', {
      rows: '1',
      placeholder: this._say('placeholder'),
      'aria-label': this._say('placeholder'),
      'aria-describedby': 'preceptor-count',
      enterkeyhint: 'send',
      oninput: () => this._typed(),
      onkeydown: (event) => this._pressed(event),
    });
    this._button = h('button', { type: 'submit', class: 'send' });
    const form = h(
      'form',
      { class: 'composer' },
      this._undo,
      this._markedBox,
      h('div', { class: 'field' }, this._field, this._button),
      this._count,
      this._disclaimer ? directed(h('p', { class: 'disclaimer' }, this._disclaimer)) : null,
      this._books ? h('p', { class: 'disclaimer' }, h('a', this._toBooks(), this._say('anotherBook'))) : null,
    );
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

  _typed() {
    this._kept.draft = this._field.value;
    this._update();
    this._fit();
  }

  _write(text) {
    this._field.value = text;
    this._kept.draft = text;
    this._update();
    if (text) this._fit();
    // Nothing is one line high.
    else this._field.style.height = '';
  }

  _pressed(event) {
    // While a word is being composed (Japanese, Urdu phonetic, …), Enter ends the word.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this._running) this._send();
  }

  /** The button and the counter follow what is in the field and whether an answer is running. */
  _update() {
    const name = this._running ? 'stop' : 'send';
    if (this._button.dataset.name !== name) {
      this._button.dataset.name = name;
      this._button.replaceChildren(icon(name));
      this._button.setAttribute('aria-label', this._say(name));
      this._button.title = this._say(name);
    }
    // The service counts code points, not UTF-16 units.
    const left = this._longest - [...this._field.value.trim()].length;
    this._tooLong = left < 0;
    this._count.hidden = left > NEARLY_FULL;
    this._count.textContent = this._count.hidden
      ? ''
      : this._say(left < 0 ? 'tooLong' : 'charactersLeft', { count: Math.abs(left) });
    this._field.setAttribute('aria-invalid', String(this._tooLong));
    this._button.disabled = !this._running && !this._question();
    this._field.dir = this._field.value ? 'auto' : this._say.dir;
  }

  /** The field is as high as its text. To know that, the browser lays the page out. */
  _fit() {
    this._field.style.height = 'auto';
    this._field.style.height = `${this._field.scrollHeight}px`;
  }

  /** What would be asked now; a marked text needs no words of its own. */
  _question() {
    const typed = this._field.value.trim();
    if (!typed && this._marked) return this._say('explain');
    return typed.length >= SHORTEST_QUESTION && !this._tooLong ? typed : '';
  }

  _send() {
    const content = this._question();
    if (!content) return;
    const asked = { content };
    if (this._marked) asked.selected_text = this._marked;
    if (this._marked && this._onlyThis.checked) asked.mode = 'selected_text_only';
    this._write('');
    if (this._marked) this.mark('');
    this._ask(asked);
  }

  /** Ask a question that came with the page's address, in a conversation of its own. */
  askAnew(question) {
    if (this._turns.length) {
      this._breakOff();
      this._go(newConversation());
    }
    this.ask(question);
  }

  /** Ask a question as if it had been typed. One that cannot be asked now, or as it is, waits in the field. */
  ask(question) {
    const content = question.trim();
    const { length } = [...content];
    if (this._running || length < SHORTEST_QUESTION || length > this._longest) this._write(content);
    else this._ask({ content });
  }

  _ask(asked) {
    this._undo.hidden = true;
    this._listOthers(false);
    const record = newRecord(this._page ? { ...asked, source_page: this._page() } : asked);
    this._own.add(record.id);
    const turn = this._show(record);
    nextFrame().then(() => {
      this._fit();
      this._toLast();
    });
    this._happened('question', { question: asked.content });
    this._run(turn);
  }

  /** Let the tutor answer a turn, for the first time or again. */
  async _run(turn) {
    const running = Object.assign(new AbortController(), { turn, conversation: this._conversation });
    this._running = running;
    this._own.add(turn.record.id);
    this._filled();
    turn.begin();
    this._update();
    this._keep();
    running.beat = setInterval(() => this._keep(), BEAT_MS);
    try {
      if (navigator.onLine === false) throw new TutorError('OFFLINE');
      // The question is there at once; what it takes to send it comes after.
      await nextTask();
      await this._listen(turn, running.signal);
      // A long answer takes a while to be shown: the next question need not wait for that.
      this._ended(running);
      const { answer, sources, response_id: id } = turn.record.body;
      this._happened('answer', { question: turn.record.asked.content, answer, sources, id });
      await turn.shown;
      await nextTask();
      if (!this._running) this._tell(`${turn.text} ${this._say('ready', { count: turn.record.sources.length })}`);
    } catch (error) {
      if (running.signal.aborted) turn.stop(running.signal.reason === 'left' ? 'left' : 'stopped');
      else {
        const fault = error instanceof TutorError ? error : new TutorError('INTERNAL_ERROR');
        if (fault !== error) console.error(error);
        this._tell(turn.fail(fault));
        this._happened('error', { question: turn.record.asked.content, code: fault.code });
      }
    } finally {
      this._ended(running);
    }
  }

  /** The answer is running no more: another question may be asked. */
  _ended(running) {
    clearInterval(running.beat);
    if (this._running === running) this._running = null;
    this._update();
    this._keepOf(running);
  }

  /** Stop the answer that is running, if there is one, because the reader goes elsewhere. */
  _breakOff() {
    this._running?.abort();
    this._running = null;
    this._update();
  }

  async _listen(turn, signal) {
    const url = new URL('api/v1/chat', this._server);
    const question = { ...turn.record.asked, stream: true, ...(this._session && { session_id: this._session }) };
    let kept = 0;
    try {
      for await (const { event, data } of ask(url, question, { key: this._key, signal })) {
        if (event === 'start') this._session = data.session_id;
        turn.take(event, data);
        if (event === 'status') this._tell(turn.progress(data));
        if (event === 'restart') this._tell(this._say('restarted'));
        if (Date.now() - kept > KEEP_MS) {
          kept = Date.now();
          this._keep();
        }
      }
    } catch (error) {
      if (error.code !== 'SESSION_NOT_FOUND' || !question.session_id) throw error;
      this._session = null;
      turn.note('expired');
      await this._listen(turn, signal);
    }
  }

  _again(turn, key) {
    if (this._running) return;
    if (key) {
      this._key = key;
      this._ofTab('key', key);
    }
    // The service keeps the answer that this one takes the place of.
    if (turn.record.responseId) this._removed.push(turn.record.responseId);
    this.focus();
    this._run(turn);
  }

  /** Put a question back into the field; the turn that had it goes. */
  _edit(turn) {
    if (this._running) return;
    this._write(turn.record.asked.content);
    if (turn.record.asked.selected_text) this.mark(turn.record.asked.selected_text);
    this._take(turn);
    this.focus();
  }

  /** Take a turn out of the conversation. */
  _take(turn) {
    this._removed.push(turn.record.id, turn.record.responseId);
    turn.element.remove();
    this._turns = this._turns.filter((each) => each !== turn);
    this._keep();
    if (!this._turns.length) this._welcome();
  }

  /** Send it when the network is back. */
  _later(turn) {
    this._own.add(turn.record.id);
    turn.queue();
    this._keep();
    if (navigator.onLine) this._sendQueued();
  }

  _sendQueued() {
    const turn = this._turns.find(({ record }) => record.state === 'queued');
    if (!turn || this._running || !navigator.onLine) return;
    // Another tab may have been quicker.
    const there = this._kept.read(this._conversation).turns.find(({ id }) => id === turn.record.id);
    if (there && there.state !== 'queued') this._sync();
    else this._run(turn);
  }

  /** Whether the service kept it. */
  async _rate(turn, rating, comment) {
    const response = await fetch(new URL('api/v1/feedback', this._server), {
      method: 'POST',
      headers: { ...JSON_BODY, ...bearing(this._key) },
      body: JSON.stringify({ response_id: turn.record.responseId ?? turn.record.body.response_id, rating, comment }),
    }).catch(() => null);
    // The service keeps no feedback: do not ask for it.
    if (response?.status === 404) this._root.classList.add('unrated');
    else if (!response?.ok) this._tellAll(response ? 'failures.INTERNAL_ERROR' : 'failures.UNREACHABLE');
    if (!response?.ok) return false;
    turn.record.rated = rating;
    this._happened('rating', { id: turn.record.responseId, rating, comment });
    this._own.add(turn.record.id);
    this._keep();
    return true;
  }

  /** A link with which the question is asked; the conversation itself stays the reader's own. */
  async _share(question) {
    const url = new URL(location.pathname, location.origin);
    url.searchParams.set('q', question);
    try {
      if (navigator.share && matchMedia('(hover: none)').matches) {
        await navigator.share({ title: question, url: url.href });
        return;
      }
      await navigator.clipboard.writeText(url.href);
      this._tellAll('linkCopied');
    } catch (error) {
      if (error.name !== 'AbortError') this._tellAll('notCopied');
    }
  }

  /** Tell it to those who see, too, for a while. */
  _tellAll(name) {
    const told = h('span', null, this._say(name));
    this._undo.replaceChildren(told);
    this._undo.hidden = false;
    setTimeout(() => (this._undo.hidden = this._undo.hidden || told.isConnected), TOLD_MS);
  }

  /** For those who listen: what happens, and the whole answer when it is complete, not piece by piece. */
  _tell(text) {
    this._status.textContent = text ?? '';
  }

  _show(record) {
    if (!this._turns.length) this._log.replaceChildren();
    const turn = new Turn(record, {
      say: this._say,
      opens: (address) => this._opens(address),
      acts: {
        rate: (...those) => this._rate(...those),
        again: (...those) => this._again(...those),
        edit: (...those) => this._edit(...those),
        later: (...those) => this._later(...those),
        ask: (question) => this.ask(question),
        share: (question) => this._share(question),
        grew: () => this._follow(),
        filled: () => this._stayAtLast(),
      },
      language: () => this._language,
    });
    this._log.append(turn.element);
    this._turns.push(turn);
    return turn;
  }

  /**
   * In the book itself a source opens in this tab; from the tutor's own page, in another one, and also where leaving the
   * page would lose the conversation.
   */
  _opens(address) {
    const url = webAddress(address);
    if (!url) return {};
    const here = this._page && this._keeps && url.origin === location.origin;
    return here ? { href: url.href, 'data-here': true } : { href: url.href, target: '_blank', rel: 'noopener' };
  }

  /** The list of books takes the place of the tutor's own page; a page of a book stays. */
  _toBooks() {
    return this._page ? this._opens(this._books) : { href: this._books };
  }

  /** The last question goes to the top; its answer grows below it, and is followed once it is longer than the window. */
  _toLast() {
    const last = this._turns.at(-1);
    if (last) this._log.scrollTop = last.element.offsetTop - this._log.firstElementChild.offsetTop;
    this._following = true;
    this._reached = this._log.scrollTop;
  }

  /** While long kept answers are filled in, the last question stays at the top, unless the reader scrolls or asks. */
  async _fill() {
    this._atLast = this._log.scrollTop;
    this._log.style.overflowAnchor = 'none';
    await Promise.all(this._turns.map(({ shown }) => shown));
    this._filled();
  }

  _stayAtLast() {
    if (Number.isNaN(this._atLast)) return;
    if (Math.abs(this._log.scrollTop - this._atLast) > 1) return this._filled();
    this._toLast();
    this._atLast = this._log.scrollTop;
  }

  _filled() {
    this._atLast = NaN;
    this._log.style.overflowAnchor = '';
  }

  /** Follow the answer while it grows, until the reader scrolls up; at the end again, it is followed again. */
  _follow() {
    if (this._following) this._end();
    else this._scrolled();
  }

  _end() {
    this._log.scrollTop = this._log.scrollHeight;
    this._reached = this._log.scrollTop;
    this._following = true;
    this._toEnd.hidden = true;
  }

  _scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this._log;
    const below = scrollHeight - clientHeight - scrollTop;
    if (below < 4) this._following = true;
    else if (scrollTop < this._reached - 2) this._following = false;
    this._reached = scrollTop;
    this._toEnd.hidden = below < FAR_PX;
  }

  _welcome() {
    this._log.replaceChildren(
      h('div', { class: 'welcome' }, h('h2', null, this._say('welcome')), h('p', null, this._say('promise'))),
    );
    this._suggest(this._log.firstElementChild);
  }

  /** A few questions from the book's outline, if the service tells it. */
  async _suggest(welcome) {
    const given = this._examples();
    const questions = given.length ? given : await this._ofOutline();
    const examples = questions.map((question) =>
      directed(h('button', { type: 'button', onclick: () => this._ask({ content: question }) }, question)),
    );
    if (examples.length) welcome.append(h('div', { class: 'examples' }, ...examples));
  }

  async _ofOutline() {
    const { titles = [] } = await this._about;
    return Promise.all(
      titles.map(async (title) => {
        const say = direction(title) === 'rtl' && this._say.dir === 'ltr' ? await wordsFor('ur') : this._say;
        return say('example', { title });
      }),
    );
  }

  /** What the service says about itself: `{longest, language, titles}`. */
  async _told() {
    const response = await fetch(new URL('about.json', this._server)).catch(() => null);
    const about = response?.ok ? await response.json() : {};
    this._longest = about.longest ?? this._longest;
    this._language = about.language;
    this._update();
    return about;
  }

  // What is kept

  /** A value that belongs to this tab; written, if one is given. */
  _ofTab(name, value) {
    if (!this._keeps) return null;
    try {
      if (value !== undefined) sessionStorage.setItem(`${this._prefix}:${name}`, value);
      return sessionStorage.getItem(`${this._prefix}:${name}`);
    } catch {
      // Storage is forbidden: it lasts as long as the page.
      return null;
    }
  }

  _latest() {
    const [latest] = this._kept.list();
    return latest && Date.now() - latest.at < GOES_ON_MS ? latest.id : newConversation();
  }

  _keep() {
    if (!this._turns.length && !this._removed.length) return;
    const running = this._running?.turn.record;
    if (running?.state === 'running') Object.assign(running, { beat: Date.now(), tab: this._tab });
    const turns = this._turns.map(({ record }) => record);
    this._kept.write({ id: this._conversation, session: this._session, turns, removed: this._removed }, this._own);
  }

  /** Keep the turn that ended; the reader may have gone to another conversation, or deleted this one. */
  _keepOf({ turn, conversation }) {
    if (conversation === this._conversation) this._keep();
    else if (this._kept.list().some(({ id }) => id === conversation)) {
      const there = this._kept.read(conversation);
      this._kept.write({ ...there, turns: [turn.record] }, new Set([turn.record.id]));
    }
  }

  /** Show the conversation with this id, and what the service knows of it. */
  _go(id) {
    this._conversation = id;
    this._ofTab('conversation', id);
    this._turns = [];
    this._own = new Set();
    this._removed = [];
    this._session = null;
    this._undo.hidden = true;
    this._listOthers(false);
    this._log.replaceChildren();
    this._sync();
    if (!this._turns.length) this._welcome();
    this._toLast();
    this._fill();
    this._reconcile();
    this._sendQueued();
  }

  /** Take over what this browser has of the conversation. */
  _sync() {
    const { session, turns, removed } = this._kept.read(this._conversation);
    this._session = session ?? this._session;
    this._removed = removed;
    for (const record of turns) {
      const turn = this._turns.find((each) => each.record.id === record.id);
      if (turn === this._running?.turn && turn) continue;
      if (record.state === 'running' && this._isGone(record)) record.state = 'left';
      if (!turn) this._show(record);
      else if (JSON.stringify(turn.record) !== JSON.stringify(record)) turn.restore(record);
      if (record.state === 'running') setTimeout(() => this._sync(), GONE_MS);
    }
    const there = new Set(turns.map(({ id }) => id));
    for (const turn of this._turns.filter(({ record }) => !there.has(record.id))) {
      if (turn === this._running?.turn) continue;
      turn.element.remove();
      this._turns = this._turns.filter((each) => each !== turn);
    }
  }

  /** Whether the tab that had this answer made is there no more; at its beginning, this tab cannot be it. */
  _isGone({ tab, beat }) {
    return tab === this._tab || !(Date.now() - beat < GONE_MS);
  }

  /** The service knows which answers were completed: take those that did not arrive here. */
  async _reconcile() {
    const id = this._conversation;
    const session = this._session;
    if (!session) return;
    const url = new URL(`api/v1/sessions/${encodeURIComponent(session)}`, this._server);
    const response = await fetch(url, { headers: bearing(this._key) }).catch(() => null);
    if (!response?.ok || this._conversation !== id || this._running) return;
    const { turns } = await response.json();
    let changed = false;
    const known = new Set();
    for (const found of turns) {
      const matching = ({ record }) =>
        !known.has(record.id) && (record.responseId ? record.responseId === found.response_id : record.asked.content === found.question);
      const turn = this._turns.find(matching);
      if (turn) known.add(turn.record.id);
      if (this._removed.includes(found.response_id) || turn?.record.state === 'done' || turn?.record.state === 'running') continue;
      const target = turn ?? this._show({ ...newRecord({ content: found.question }), responseId: found.response_id });
      this._own.add(target.record.id);
      target.complete({ ...found, also_relevant: [], failover: [] });
      changed = true;
    }
    if (changed) this._keep();
  }

  _listenToOthers() {
    this._kept.watch((name) => {
      if (name === this._conversation) {
        this._sync();
        if (!this._turns.length) this._welcome();
      }
      if (!this._others.hidden) this._listOthers(true);
    });
    addEventListener('online', () => this._sendQueued());
    addEventListener('pagehide', () => {
      this._deletion?.();
      const running = this._running;
      if (!running) return;
      running.abort('left');
      running.turn.stop('left');
      this._keep();
    });
    // Back from the browser's own memory of pages: another tab may have gone on.
    addEventListener('pageshow', (event) => {
      if (!event.persisted) return;
      if (!this._keeps) return this._forget();
      this._sync();
      this._reconcile();
    });
  }

  /** The page is shown again, perhaps to somebody else. */
  _forget() {
    this._write('');
    this.mark('');
    this._go(newConversation());
  }

  // The other conversations

  /** Whether the list was there to close. */
  _closeOthers() {
    if (this._others.hidden) return false;
    this._listOthers(false);
    this.focus();
    return true;
  }

  /** Show or hide the list of this browser's conversations. */
  _listOthers(shown) {
    this._others.hidden = !shown;
    this._log.inert = shown;
    if (!shown) return;
    const date = new Intl.DateTimeFormat(this._say.lang, { dateStyle: 'medium', timeStyle: 'short' });
    const items = this._kept.list().map(({ id, title, at, session }) => {
      const open = h(
        'button',
        { type: 'button', class: 'other', 'aria-current': id === this._conversation ? 'true' : null },
        directed(h('span', null, title)),
        h('time', { datetime: new Date(at).toISOString() }, date.format(at)),
      );
      open.addEventListener('click', () => {
        this._breakOff();
        this._go(id);
        this.focus();
      });
      const remove = this._iconButton('close', () => this._delete(id, session), this._say('delete', { title }));
      return h('li', null, open, remove);
    });
    this._others.replaceChildren(
      h('h2', null, this._say('conversations')),
      items.length ? h('ul', null, ...items) : h('p', null, this._say('noConversations')),
    );
  }

  /** Delete a conversation here and on the service, unless the reader takes it back. */
  _delete(id, session) {
    this._deletion?.();
    const before = this._kept.read(id);
    const isThis = id === this._conversation;
    if (isThis) this._breakOff();
    this._kept.remove(id);
    if (isThis) this._go(newConversation());
    this._listOthers(true);
    const timer = setTimeout(() => this._deletion?.(), UNDO_MS);
    this._deletion = () => {
      clearTimeout(timer);
      this._deletion = null;
      this._undo.hidden = true;
      if (!session) return;
      const url = new URL(`api/v1/sessions/${encodeURIComponent(session)}`, this._server);
      fetch(url, { method: 'DELETE', headers: bearing(this._key), keepalive: true }).catch(() => {});
    };
    this._offerUndo('deleted', () => {
      clearTimeout(timer);
      this._deletion = null;
      this._kept.write(before, new Set());
      if (isThis) this._go(id);
      else this._listOthers(true);
    });
  }

  _offerUndo(name, undo) {
    const button = h('button', { type: 'button', class: 'retry' }, this._say('undo'));
    button.addEventListener('click', () => {
      this._undo.hidden = true;
      undo();
      this.focus();
    });
    this._undo.replaceChildren(h('span', null, this._say(name)), button);
    this._undo.hidden = false;
  }
}

function newConversation() {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
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
