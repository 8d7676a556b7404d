/** The sources of an answer: cards below it, a card at each marker, and links that mark the quoted sentence. */

import { directed, h, webAddress } from './dom.js';

/** Cards that are there without being asked for. */
const SHOWN = 3;
/** Support below which a claim counts as unsupported, as in the service. */
const WEAK = 0.5;
/** Words at each end by which a browser finds a long quotation. */
const EDGE = 5;
/** The pointer's way from a marker to its card. */
const PATIENCE_MS = 200;

export const nameOf = (source) => source.breadcrumb?.at(-1) || source.title;
const placeOf = (source) => (source.breadcrumb ?? []).slice(0, -1).join(' › ');

/**
 * The address of a source with its quotation as a text fragment: the browser goes to the heading and marks the sentence
 * there. One that does not find it, or knows no text fragments, goes to the heading all the same.
 */
export function quoted(url, quote) {
  // What was cut, and Markdown's own signs, are not on the page.
  const plain = (quote ?? '')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}/g, '')
    .split(/…|\n/)
    .map((part) => part.trim())
    .find((part) => part.split(/\s+/).length >= 3);
  if (!plain || url.includes(':~:')) return url;
  const words = plain.split(/\s+/);
  const encoded = (some) => encodeURIComponent(some.join(' ')).replaceAll('-', '%2D');
  const text = words.length > 2 * EDGE ? `${encoded(words.slice(0, EDGE))},${encoded(words.slice(-EDGE))}` : encoded(words);
  return `${url}${url.includes('#') ? '' : '#'}:~:text=${text}`;
}

/** The list of an answer's sources, or of passages related to it; more than three fold. */
export function sourceList(name, title, sources, { say, opens }) {
  const items = sources.map((source) => h('li', null, ...card(source, { say, opens, numbered: name === 'sources' })));
  items.forEach((item, place) => directed(item, nameOf(sources[place]) + sources[place].quote));
  const list = h('ol', { class: 'cards' }, ...items.slice(0, SHOWN));
  const more = items.slice(SHOWN);
  return h(
    'div',
    { class: name },
    h('h3', null, title),
    list,
    more.length
      ? h(
          'details',
          null,
          h('summary', null, say('moreSources', { count: more.length })),
          h('ol', { class: 'cards', start: SHOWN + 1 }, ...more),
        )
      : null,
  );
}

function card(source, { say, opens, numbered }) {
  const above = placeOf(source);
  const weak = typeof source.support === 'number' && source.support < WEAK;
  return [
    numbered ? h('span', { class: 'number', 'aria-hidden': 'true' }, String(source.n)) : null,
    h(
      'div',
      null,
      h('a', opens(quoted(source.url, source.quote)), nameOf(source)),
      above ? h('p', { class: 'breadcrumb' }, above) : null,
      source.tool ? h('p', { class: 'breadcrumb', dir: say.dir, lang: say.lang }, say('fromTool', { tool: source.tool })) : null,
      source.quote ? h('blockquote', null, source.quote) : null,
      ...(source.images ?? []).map(picture),
      weak ? h('p', { class: 'weak', dir: say.dir, lang: say.lang }, say('weak')) : null,
    ),
  ];
}

/** An image of the book with its caption; one that cannot be loaded is not there. */
function picture({ url, alt }) {
  const address = webAddress(url);
  if (!address) return null;
  // The caption says what it shows; said twice, it would be read out twice.
  const image = h('img', { loading: 'lazy', decoding: 'async', referrerpolicy: 'no-referrer', alt: '', src: address.href });
  const figure = h('figure', null, image, directed(h('figcaption', null, alt)));
  image.addEventListener('error', () => figure.remove());
  return figure;
}

/** One card for all markers below `root`: at the one that the pointer is on, that has the focus or was tapped. */
export class SourceCard {
  /**
   * @param root where the card is put, outside of what scrolls
   * @param look gives the source of a marker
   */
  constructor(root, { say, opens, look }) {
    this._say = say;
    this._opens = opens;
    this._look = look;
    this._marker = null;
    this.element = h('div', { class: 'source-card', hidden: true });
    root.append(this.element);
    // An image that has arrived makes the card higher.
    this.element.addEventListener('load', () => this._marker && this._place(this._marker), { capture: true });
    const later = () => (this._leaving = setTimeout(() => this.hide(), PATIENCE_MS));
    const stay = () => clearTimeout(this._leaving);
    root.addEventListener('pointerover', (event) => {
      if (event.pointerType === 'touch') return;
      const marker = event.target.closest?.('.cite');
      if (marker) {
        stay();
        this._show(marker);
      } else if (this.element.contains(event.target)) stay();
    });
    root.addEventListener('pointerout', (event) => {
      if (event.pointerType !== 'touch' && event.target.closest?.('.cite, .source-card')) later();
    });
    root.addEventListener('focusin', (event) => {
      const marker = event.target.closest('.cite');
      if (marker) this._show(marker);
      else if (!this.element.contains(event.target)) this.hide();
    });
    let touched = false;
    root.addEventListener('pointerdown', (event) => {
      touched = event.pointerType === 'touch';
      if (touched && !event.target.closest('.cite, .source-card')) this.hide();
    });
    // The first tap shows the card, with its link; the second follows it.
    root.addEventListener('click', (event) => {
      const marker = event.target.closest?.('.cite');
      if (!marker || !touched) return;
      if (this._tapped === marker && !this.element.hidden) return;
      event.preventDefault();
      event.stopPropagation();
      this._tapped = marker;
      this._show(marker);
    }, { capture: true });
    root.addEventListener('scroll', () => this.hide(), { capture: true, passive: true });
  }

  /** Whether there was a card to hide. */
  hide() {
    clearTimeout(this._leaving);
    const there = !this.element.hidden;
    this.element.hidden = true;
    this._marker = null;
    this._tapped = null;
    return there;
  }

  _show(marker) {
    clearTimeout(this._leaving);
    if (this._marker === marker) return;
    const source = this._look(marker);
    if (!source) return;
    this._marker = marker;
    this.element.replaceChildren(...card(source, { say: this._say, opens: this._opens, numbered: true }).filter(Boolean));
    directed(this.element, nameOf(source) + source.quote);
    this.element.hidden = false;
    this._place(marker);
  }

  _place(marker) {
    const at = marker.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const bounds = this.element.parentElement.getBoundingClientRect();
    const left = Math.max(bounds.left + 8, Math.min(at.left - 16, bounds.right - width - 8));
    const above = at.top - height - 6;
    this.element.style.left = `${left}px`;
    this.element.style.top = `${above > bounds.top + 8 ? above : at.bottom + 6}px`;
  }
}
