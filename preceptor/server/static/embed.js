/** What `/widget.js` is: reads the attributes of its own tag, then loads the module that does the rest. */
(() => {
  const tag = document.currentScript;
  const stub = window.Preceptor;
  if (!tag || (stub && !stub.queue)) return;
  const server = new URL('./', tag.src);
  const loading = import(new URL('static/widget.js', server).href).then(({ openWidget }) => openWidget(server, { ...tag.dataset }));
  loading.catch((error) => console.error('Preceptor: the tutor could not be loaded from', server.href, error));
  const calls = {};
  for (const name of ['open', 'close', 'ask', 'clear', 'on']) {
    calls[name] = (...values) => loading.then((widget) => widget[name](...values));
  }
  // `await Preceptor` waits until it is there.
  window.Preceptor = Object.freeze({ ...calls, then: (done, failed) => loading.then(() => done(Object.freeze(calls)), failed) });
  for (const [name, ...values] of stub?.queue ?? []) calls[name]?.(...values);
})();
