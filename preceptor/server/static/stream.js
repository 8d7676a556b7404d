/** Asking the tutor over HTTP: one request, and the server-sent events of its answer. */

import { nextTask } from './tasks.js';

/** The server sends a comment every 15 s while it is silent; after this long the connection is dead. */
const SILENCE_MS = 45_000;
/** Events that come at once are given out for so long before the page has its turn. */
const TURN_MS = 4;

export const JSON_BODY = { 'Content-Type': 'application/json' };

/** The header that carries a reader's key, if there is one. */
export const bearing = (key) => (key ? { Authorization: `Bearer ${key}` } : {});

/** No answer, or no whole one. `code` is the contract's, or `UNREACHABLE` or `CONNECTION_LOST`. */
export class TutorError extends Error {
  constructor(code, message = '', retryAfter = 0) {
    super(message);
    this.code = code;
    /** Seconds to wait before another try. */
    this.retryAfter = retryAfter;
  }
}

/**
 * Ask; yields `{event, data}` as the contract names them, and returns after `done`.
 *
 * Throws a TutorError for a refusal, an `error` event or a broken connection, and whatever fetch throws once
 * `signal` is aborted. `key` is the reader's, where the service asks for one.
 */
export async function* ask(url, question, { key, signal }) {
  const silence = new AbortController();
  let timer;
  let ended = false;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  const unlessStopped = (code) => (error) => {
    throw signal.aborted ? error : new TutorError(code);
  };
  heard();
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...JSON_BODY, ...bearing(key), Accept: 'text/event-stream' },
      body: JSON.stringify(question),
      signal: AbortSignal.any([signal, silence.signal]),
    }).catch(unlessStopped('UNREACHABLE'));
    if (!response.ok) throw await refusal(response);
    const messages = events(response.body, heard);
    let turn = performance.now();
    for (;;) {
      if (performance.now() - turn > TURN_MS) {
        await nextTask();
        turn = performance.now();
      }
      const { value, done } = await messages.next().catch(unlessStopped('CONNECTION_LOST'));
      if (done) throw new TutorError('CONNECTION_LOST');
      const data = parsed(value.data);
      ended = value.event === 'done' || value.event === 'error';
      if (value.event === 'error') throw new TutorError(data.code, data.error, data.retry_after);
      yield { event: value.event, data };
      if (ended) {
        // Read to its end, so that the browser does not count the request as broken off.
        messages.next().catch(() => {});
        return;
      }
    }
  } finally {
    clearTimeout(timer);
    if (!ended) silence.abort();
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    // Something between the service and this page has changed or cut the stream.
    throw new TutorError('CONNECTION_LOST');
  }
}

/** The error that a response with another status than 200 stands for. */
async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const retryAfter = Number(response.headers.get('Retry-After')) || 0;
  return new TutorError(body.code ?? `HTTP_${response.status}`, body.error, retryAfter);
}

/** The events `{event, data}` of a stream of bytes, however it is cut; `heard` is called for every piece. */
export async function* events(body, heard = () => {}) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let event = '';
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    // A \r at the end of a piece may be half of \r\n.
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (data.length) yield { event: event || 'message', data: data.join('\n') };
        event = '';
        data = [];
        continue;
      }
      const [, field, text] = /^([^:]*):? ?(.*)$/.exec(line);
      if (field === 'event') event = text;
      else if (field === 'data') data.push(text);
    }
  }
}
