/** Code in colours. Loaded when there is some, and each language by itself. */

import DOMPurify from './vendor/purify.es.mjs';
import hljs from './vendor/highlight/core.min.js';

const LANGUAGES = [
  'bash', 'c', 'cmake', 'cpp', 'csharp', 'css', 'diff', 'dockerfile', 'go', 'ini', 'java', 'javascript', 'json', 'julia',
  'kotlin', 'lua', 'makefile', 'markdown', 'matlab', 'php', 'python', 'r', 'ruby', 'rust', 'sql', 'swift', 'typescript',
  'xml', 'yaml',
];

const ALIASES = {
  'c++': 'cpp', cc: 'cpp', cxx: 'cpp', h: 'c', hpp: 'cpp', 'c#': 'csharp', cs: 'csharp', docker: 'dockerfile', golang: 'go',
  html: 'xml', svg: 'xml', urdf: 'xml', xacro: 'xml', sdf: 'xml', launch: 'xml', js: 'javascript', jsx: 'javascript',
  mjs: 'javascript', jsonc: 'json', json5: 'json', kt: 'kotlin', make: 'makefile', md: 'markdown', py: 'python',
  python3: 'python', pycon: 'python', rb: 'ruby', rs: 'rust', sh: 'bash', shell: 'bash', zsh: 'bash', console: 'bash',
  'shell-session': 'bash', toml: 'ini', cfg: 'ini', ts: 'typescript', tsx: 'typescript', yml: 'yaml', patch: 'diff',
};

/** What is longer stays plain: colours for it would hold the page up. */
const LONGEST = 10_000;
const CLEAN = { ALLOWED_TAGS: ['span'], ALLOWED_ATTR: ['class'], RETURN_DOM_FRAGMENT: true };

/** Colour the text of an element, if its language is known. */
export async function highlight(element, name) {
  const asked = name.toLowerCase();
  const language = ALIASES[asked] ?? asked;
  const text = element.textContent;
  if (!LANGUAGES.includes(language) || text.length > LONGEST) return;
  if (!hljs.getLanguage(language)) {
    const { default: grammar } = await import(`./vendor/highlight/${language}.min.js`);
    hljs.registerLanguage(language, grammar);
  }
  const { value } = hljs.highlight(text, { language, ignoreIllegals: true });
  // Nothing may have been added meanwhile.
  if (element.textContent === text) element.replaceChildren(DOMPurify.sanitize(value, CLEAN));
}
