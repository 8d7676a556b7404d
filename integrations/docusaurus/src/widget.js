/** Call a function of the widget, now or as soon as it is there. */
export function tutor(name, ...values) {
  window.Preceptor ??= { queue: [] };
  const { queue } = window.Preceptor;
  if (queue) queue.push([name, ...values]);
  else window.Preceptor[name](...values);
}
