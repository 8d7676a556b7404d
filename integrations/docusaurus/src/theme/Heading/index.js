import React from 'react';
import Heading from '@theme-init/Heading';
import { translate } from '@docusaurus/Translate';
import { usePluginData } from '@docusaurus/useGlobalData';
import { tutor } from '../../widget.js';

/** As much as the widget takes of a marked text. */
const LONGEST = 8000;

function ask({ currentTarget }) {
  tutor('open', sectionOf(currentTarget.parentElement));
}

/** The text from a heading to the next one that is not below it. */
function sectionOf(heading) {
  const parts = [textOf(heading)];
  for (let next = heading.nextElementSibling; next; next = next.nextElementSibling) {
    if (/^H[1-6]$/.test(next.tagName) && next.tagName <= heading.tagName) break;
    parts.push(textOf(next));
  }
  // Cut, but not through a letter of two units.
  return parts.filter(Boolean).join('\n\n').slice(0, LONGEST).replace(/[\uD800-\uDBFF]$/, '');
}

function textOf(element) {
  // Docusaurus' links at headings hold a space without width.
  return element.innerText.replaceAll('\u200b', '').trim();
}

/** An element whose last child is the button; Docusaurus names its link by the children, so these stay as they are. */
function asking(Level) {
  return function AskingHeading({ children, ...props }) {
    const label = translate({ id: 'preceptor.section', message: 'Ask about this section' });
    return (
      <Level {...props}>
        {children}
        <button type="button" className="preceptor-section" aria-haspopup="dialog" aria-label={label} title={label} onClick={ask}>
          <svg viewBox="0 0 24 24" width="1em" height="1em" fill="none" stroke="currentColor" strokeWidth="2" aria-hidden="true">
            <path d="M4 5h16v11H9l-5 4z" />
          </svg>
        </button>
      </Level>
    );
  };
}

const LEVELS = Object.fromEntries(['h2', 'h3', 'h4', 'h5', 'h6'].map((level) => [level, asking(level)]));

export default function SectionHeading({ as, ...props }) {
  const { headings } = usePluginData('docusaurus-plugin-preceptor');
  return <Heading as={(headings && props.id && LEVELS[as]) || as} {...props} />;
}
