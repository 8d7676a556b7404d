/** Work in pieces: in between, the browser answers to the reader and draws. */

/** The longest that a frame is waited for: a hidden page has none. */
const FRAME_MS = 200;
const { port1, port2 } = new MessageChannel();
const waiting = [];
port1.onmessage = () => waiting.shift()();

/** Resolves in a task of its own. A timer would do that too, but sleeps for a second or more in a hidden page. */
export const nextTask = () =>
  new Promise((resolve) => {
    waiting.push(resolve);
    port2.postMessage(null);
  });

/** Resolves just before the browser lays the page out and draws it: what asks for the layout then has it made once. */
export const nextFrame = () =>
  new Promise((resolve) => {
    requestAnimationFrame(resolve);
    setTimeout(resolve, FRAME_MS);
  });
