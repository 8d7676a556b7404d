import React from 'react';
import {Redirect} from '@docusaurus/router';

/** The site has no landing page of its own: the book opens at once. */
export default function Home() {
  return <Redirect to="/docs/" />;
}
