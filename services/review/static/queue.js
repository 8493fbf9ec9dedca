// The queue as others change it: fetched again whenever the stream names another version, without moving the focus.
import { follow } from "/static/stream.js";

let fetching = false;
let again = false;

async function refetch() {
  again = fetching;
  if (fetching) return;
  fetching = true;
  try {
    const response = await fetch(location.href, { headers: { "x-nightjar-live": "1" }, signal: AbortSignal.timeout(10000) });
    if (response.status === 401) return location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
    if (!response.ok) return;
    const part = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("live");
    if (!part) return;
    stream.isCurrent();
    const live = document.getElementById("live");
    if (part.innerHTML === live.innerHTML) {
      live.dataset.version = part.dataset.version;
      return;
    }
    const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
    live.replaceWith(part);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  } catch {
    // The stream notices a lost connection and says so.
  } finally {
    fetching = false;
    stream.watch();
    if (again) refetch();
  }
}

const stream = follow("/review/events", {
  held: () => document.getElementById("live").dataset.version,
  refetch,
  lost: document.getElementById("lost"),
  said: document.getElementById("said"),
});
