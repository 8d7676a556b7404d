/**
 * The reader's conversations, kept in this browser: each under a key of its own, beside a list of them all.
 *
 * A conversation is `{id, session, turns, removed}`; `removed` holds ids of turns that another tab must not bring back.
 * Two tabs write the same conversation, so a tab writes only the turns that are its own and takes the others as they are.
 */

const KEPT_CONVERSATIONS = 20;
const KEPT_TURNS = 20;
const KEPT_MS = 30 * 24 * 3600 * 1000;

export class Conversations {
  /**
   * @param prefix of the keys; one service has one
   * @param lasting false: nothing is written, and what was written before is removed
   */
  constructor(prefix, { lasting = true } = {}) {
    this._prefix = prefix;
    this._lasting = lasting;
    // What storage forbids or has no room for, or may not be kept, lasts as long as the page.
    this._memory = new Map();
    if (!lasting) clear(prefix);
  }

  /** `{id, title, at, session}` of each, the latest first. */
  list() {
    const oldest = Date.now() - KEPT_MS;
    // One that made room for another is there no more.
    return this._entries().filter(({ id, at }) => at > oldest && this._get(id));
  }

  /** The conversation with this id, or an empty one. */
  read(id) {
    const kept = this._get(id);
    return { session: null, turns: [], removed: [], ...(Array.isArray(kept?.turns) && kept), id };
  }

  /**
   * Write a conversation, merged with what another tab has written of it.
   *
   * @param own ids of the turns of which this tab knows best
   * @returns the conversation as it is now
   */
  write(conversation, own) {
    const there = this.read(conversation.id);
    const removed = [...new Set([...there.removed, ...conversation.removed])];
    const turns = new Map(there.turns.map((turn) => [turn.id, turn]));
    for (const turn of conversation.turns) if (own.has(turn.id) || !turns.has(turn.id)) turns.set(turn.id, turn);
    const merged = {
      ...conversation,
      removed,
      turns: Array.from(turns.values())
        .filter(({ id }) => !removed.includes(id))
        .sort((one, other) => one.at - other.at)
        .slice(-KEPT_TURNS),
    };
    this._set(conversation.id, merged);
    this._enter(merged);
    return merged;
  }

  /** Forget a conversation here. */
  remove(id) {
    this._set('list', this.list().filter((each) => each.id !== id));
    this._drop(id);
  }

  get draft() {
    return this._get('draft') ?? '';
  }

  set draft(text) {
    if (text) this._set('draft', text);
    else this._drop('draft');
  }

  /** Call `changed` with the id of each conversation that another tab has written or removed. */
  watch(changed) {
    addEventListener('storage', ({ key }) => {
      if (key?.startsWith(`${this._prefix}:`)) changed(key.slice(this._prefix.length + 1));
    });
  }

  _enter({ id, session, turns }) {
    if (!turns.length) return;
    const title = turns[0].asked.content.slice(0, 200);
    const list = [{ id, title, session, at: turns.at(-1).at }, ...this.list().filter((each) => each.id !== id)];
    list.sort((one, other) => other.at - one.at);
    for (const { id: old } of list.splice(KEPT_CONVERSATIONS)) this._drop(old);
    this._set('list', list);
  }

  /** The list as it was written; what another script or version has made of it is none. */
  _entries() {
    const list = this._get('list');
    return Array.isArray(list) ? list : [];
  }

  _get(name) {
    const kept = this._memory.get(name);
    if (kept !== undefined) return structuredClone(kept);
    if (!this._lasting) return undefined;
    try {
      return JSON.parse(localStorage.getItem(`${this._prefix}:${name}`)) ?? undefined;
    } catch {
      return undefined;
    }
  }

  _set(name, value) {
    const text = JSON.stringify(value);
    while (this._lasting) {
      try {
        localStorage.setItem(`${this._prefix}:${name}`, text);
        this._memory.delete(name);
        return;
      } catch {
        // Storage is forbidden or full: the oldest conversation makes room, as long as there is another.
        const oldest = this._oldestBeside(name);
        if (!oldest) break;
        localStorage.removeItem(`${this._prefix}:${oldest}`);
      }
    }
    this._memory.set(name, structuredClone(value));
  }

  _oldestBeside(name) {
    try {
      const list = JSON.parse(localStorage.getItem(`${this._prefix}:list`)) ?? [];
      const there = list.filter(({ id }) => id !== name && localStorage.getItem(`${this._prefix}:${id}`) !== null);
      return there.at(-1)?.id;
    } catch {
      return undefined;
    }
  }

  _drop(name) {
    this._memory.delete(name);
    try {
      localStorage.removeItem(`${this._prefix}:${name}`);
    } catch {
      // There is nothing to remove where storage is forbidden.
    }
  }
}

/** Remove all that was ever kept under a prefix in this browser. */
function clear(prefix) {
  for (const name of ['localStorage', 'sessionStorage']) {
    try {
      const kept = window[name];
      for (const key of Object.keys(kept)) if (key.startsWith(`${prefix}:`)) kept.removeItem(key);
    } catch {
      // There is nothing to remove where storage is forbidden.
    }
  }
}
