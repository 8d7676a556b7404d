/** Making elements. Text is always text here; the only HTML is what markdown.js has sanitised. */

const SVG = 'http://www.w3.org/2000/svg';

const ICONS = {
  book: 'M4 6c3 0 6 .5 8 2.5 2-2 5-2.5 8-2.5v11c-3 0-6 .5-8 2.5-2-2-5-2.5-8-2.5zm8 2.5v11',
  send: 'M12 19V5m-6 6 6-6 6 6',
  stop: 'M8 8h8v8H8zm2 2h4v4h-4z',
  conversations: 'M4 6h16M4 12h16M4 18h10',
  fresh: 'M12 5v14M5 12h14',
  close: 'M6 6l12 12M18 6 6 18',
  up: 'M4 11h3v9H4zM7 11l4-8c2 0 3 1.5 2.5 3.5L13 9h5c1.5 0 2.3 1.2 2 2.5l-1.5 7c-.2.9-1 1.5-2 1.5H7',
  down: 'M4 4h3v9H4zM7 13l4 8c2 0 3-1.5 2.5-3.5L13 15h5c1.5 0 2.3-1.2 2-2.5l-1.5-7C18.3 4.6 17.5 4 16.5 4H7',
  edit: 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  share: 'M12 15V3M8 7l4-4 4 4M5 12v8h14v-8',
  regenerate: 'M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5',
  toEnd: 'M12 5v14m-6-6 6 6 6-6',
  expand: 'M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7',
  wrap: 'M4 6h16M4 12h13a3 3 0 0 1 0 6h-4m2-2-2 2 2 2M4 18h5',
  alert: 'M12 8v5m0 3v.01M12 3 2.5 20h19z',
};

/**
 * Make an element: `h('a', {class: 'x', href}, 'text', child)`. A property that begins with `on` is a listener;
 * one that is null, undefined or false is left out.
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** An absolute http(s) URL, or null: nothing else may become a link. */
export function webAddress(text) {
  try {
    const url = new URL(text, document.baseURI);
    return ['http:', 'https:'].includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/gu;

/**
 * The direction that a text runs in. `dir="auto"` looks at the first letter alone, and an Urdu sentence often begins
 * with an English term ("ROS 2 …"); here a third of the letters decides.
 */
export function direction(text) {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const rightToLeft = text.match(RIGHT_TO_LEFT)?.length ?? 0;
  return rightToLeft * 3 > letters ? 'rtl' : 'ltr';
}

/** By script; letters that only one language of a script has come first. */
const LANGUAGES = [
  [/[ٹڈڑںے]/u, 'ur'],
  [/\p{Script=Arabic}/u, 'ar'],
  [/\p{Script=Hebrew}/u, 'he'],
  [/\p{Script=Devanagari}/u, 'hi'],
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/u, 'ja'],
  [/\p{Script=Han}/u, 'zh'],
  [/\p{Script=Cyrillic}/u, 'ru'],
];

/** The element, with the direction of its text, and its language where the script tells it: a screen reader asks for both. */
export function directed(element, text = element.textContent) {
  element.dir = direction(text);
  const beside = text.replace(/[\p{Script=Latin}\P{L}]/gu, '');
  const lang = beside.length * 3 > (text.match(/\p{L}/gu)?.length ?? 0) && LANGUAGES.find(([script]) => script.test(beside))?.[1];
  if (lang) element.lang = lang;
  return element;
}
