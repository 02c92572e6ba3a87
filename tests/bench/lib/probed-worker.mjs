/**
 * The engine's worker with a watch: between `{ probe: true }` and `{ probe: false }` it takes turn after turn of the
 * worker's loop, and then posts the longest time, in milliseconds, from one to the next: what a message waits at most.
 */
const { port1, port2 } = new MessageChannel();
let last = 0;
let longest = 0;
let isOn = false;

port1.onmessage = () => {
  const now = performance.now();
  longest = Math.max(longest, now - last);
  last = now;
  if (isOn) port2.postMessage(null);
};

self.addEventListener('message', (event) => {
  if (event.data.probe === undefined) return;
  event.stopImmediatePropagation();
  if (event.data.probe) {
    isOn = true;
    longest = 0;
    last = performance.now();
    port2.postMessage(null);
  } else {
    isOn = false;
    longest = Math.max(longest, performance.now() - last);
    self.postMessage({ longest });
  }
});

await import('/lectern/worker/engine.js');
self.postMessage({ longest: 0 });
