import React from 'react';
import { translate } from '@docusaurus/Translate';
import { usePluginData } from '@docusaurus/useGlobalData';
import { tutor } from '../../widget.js';

/** The button in the navbar, or in the menu of a narrow window. */
export default function PreceptorNavbarItem({ mobile = false, label, onClick }) {
  const { title } = usePluginData('docusaurus-plugin-preceptor');
  const button = (
    <button
      type="button"
      className={`clean-btn ${mobile ? 'menu__link' : 'navbar__item navbar__link'}`}
      aria-haspopup="dialog"
      onClick={(event) => {
        // The menu closes itself by this.
        onClick?.(event);
        tutor('open');
      }}>
      {label ?? title ?? translate({ id: 'preceptor.ask', message: 'Ask the book' })}
    </button>
  );
  return mobile ? <li className="menu__list-item">{button}</li> : button;
}
