/** What the page and the widget say: one file of strings for each language, loaded when it is needed. */

const LANGUAGES = ['en', 'ar', 'de', 'es', 'fr', 'hi', 'ur', 'zh'];
const RIGHT_TO_LEFT = ['ar', 'ur'];
const loaded = new Map();

/**
 * The words for a BCP 47 tag; English where there are none.
 *
 * @returns a function `say(name, values)` with the properties `lang` and `dir`; `{count}` among the values chooses
 *   between singular and plural
 */
export function wordsFor(language) {
  const asked = language.toLowerCase().split('-')[0];
  const lang = LANGUAGES.includes(asked) ? asked : 'en';
  if (!loaded.has(lang)) {
    const reading = read(lang);
    loaded.set(lang, reading);
    // What could not be loaded once may be there the next time.
    reading.catch(() => loaded.delete(lang));
  }
  return loaded.get(lang);
}

async function read(lang) {
  const response = await fetch(new URL(`words/${lang}.json`, import.meta.url));
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
  const strings = await response.json();
  const plural = new Intl.PluralRules(lang);
  const say = (name, values = {}) => {
    let text = name.split('.').reduce((found, part) => found?.[part], strings);
    if (text && typeof text === 'object') text = text[plural.select(values.count)] ?? text.other;
    return text?.replace(/\{(\w+)\}/g, (_, key) => values[key]);
  };
  return Object.assign(say, { lang, dir: RIGHT_TO_LEFT.includes(lang) ? 'rtl' : 'ltr' });
}
