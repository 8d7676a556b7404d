/** Keys that bring the reader to the question: `mod+k` (Ctrl, or Command on a Mac) and `/`. */

const MAC = /Mac|iPhone|iPad/.test(navigator.platform);

/**
 * Call `action` when one of the keys is pressed; a page's own shortcut for it comes first.
 *
 * @param keys such as `mod+k,/`; empty or `none`: there are none
 */
export function onShortcut(keys, action) {
  const wanted = keys
    .toLowerCase()
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each && each !== 'none');
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey) return;
    const mod = MAC ? event.metaKey : event.ctrlKey;
    if (!wanted.includes(`${mod ? 'mod+' : ''}${event.key.toLowerCase()}`)) return;
    if (!mod && isTyping(event)) return;
    event.preventDefault();
    action();
  });
}

function isTyping(event) {
  const [target] = event.composedPath();
  return target instanceof Element && (target.matches('input, textarea, select') || target.isContentEditable);
}
