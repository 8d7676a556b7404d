/** What `/widget.js` is: reads the attributes of its own tag, then loads the module that does the rest. */
(() => {
  const tag = document.currentScript;
  if (window.Preceptor || !tag) return;
  const server = new URL('./', tag.src);
  window.Preceptor = import(new URL('static/widget.js', server).href)
    .then(({ openWidget }) => openWidget(server, { ...tag.dataset }))
    .catch((error) => console.error('Preceptor: the tutor could not be loaded from', server.href, error));
})();
