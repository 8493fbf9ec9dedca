// Keeps a list current. The server says over an event stream which version the list has, at least every two seconds; a page
// that holds another one fetches the list anew. Whatever was missed while asleep, hidden or cut off is therefore made good
// by the next message.
import { _ } from "./i18n.js";

const LOST_AFTER_MS = 6000;
const RETRY_MS = [500, 1000, 2000, 3000];

/**
 * Follow the stream of an address.
 *
 * held(): the version on the page; refetch(): fetches the list and shows it; lost, said: elements that say that the
 * connection is lost, and that it is there again. `isCurrent` is to be called with every list that arrived, `watch` once
 * a fetch has ended in whatever way.
 */
export function follow(address, { held, refetch, lost, said }) {
  let heardAt = Date.now(); // last message of the stream
  let currentAt = Date.now(); // last time the list was known to be current
  let source = null;
  let retries = 0;
  let retryTimer = 0;

  function connect() {
    clearTimeout(retryTimer);
    source?.close();
    source = new EventSource(address);
    source.addEventListener("message", (event) => {
      heardAt = Date.now();
      retries = 0;
      if (JSON.parse(event.data).version === held()) currentAt = heardAt;
      else refetch();
      watch();
    });
    source.addEventListener("error", () => {
      source.close();
      retryTimer = setTimeout(reconnect, RETRY_MS[Math.min(retries++, RETRY_MS.length - 1)]);
    });
  }

  function reconnect() {
    connect();
    refetch();
  }

  /** Say how old the list is once nothing was heard for too long. */
  function watch() {
    const age = Date.now() - Math.min(heardAt, currentAt + LOST_AFTER_MS / 2);
    const isLost = Date.now() - heardAt >= LOST_AFTER_MS || Date.now() - currentAt >= LOST_AFTER_MS + 2000;
    if (!isLost) {
      if (!lost.hidden) said.textContent = _("Connected again. The list is current.");
      lost.hidden = true;
      return;
    }
    const seconds = Math.round((Date.now() - currentAt) / 1000);
    const text = _("Connection lost. List is %(seconds)s s old. Reconnecting", { seconds });
    if (lost.textContent !== text) lost.textContent = text;
    lost.hidden = false;
    // A stream that is silent without an error, as after sleep, is opened again.
    if (age >= LOST_AFTER_MS && source?.readyState === EventSource.OPEN) connect();
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) (Date.now() - heardAt > LOST_AFTER_MS ? reconnect : refetch)();
  });
  addEventListener("pageshow", (event) => event.persisted && reconnect());
  addEventListener("online", reconnect);
  addEventListener("pagehide", () => source?.close());
  connect();
  setInterval(watch, 1000);
  return {
    isCurrent() {
      currentAt = Date.now();
    },
    watch,
  };
}
