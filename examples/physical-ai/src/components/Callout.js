import React from 'react';

/** A framed aside with a title: <Callout title="Rule of thumb">text</Callout> */
export default function Callout({title, children}) {
  return (
    <aside style={{borderLeft: '4px solid currentColor', padding: '0.5rem 1rem', margin: '1rem 0'}}>
      <strong>{title}</strong>
      <div>{children}</div>
    </aside>
  );
}
