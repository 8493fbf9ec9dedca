// The queue as others change it: fetched again now and then and on return to the tab, without moving the focus.

const PERIOD_MS = 15000;

async function refresh() {
  if (document.hidden) return;
  try {
    const response = await fetch(location.href, { headers: { "x-nightjar-live": "1" } });
    if (response.status === 401) return location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
    if (!response.ok) return;
    const part = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("live");
    const live = document.getElementById("live");
    if (!part || part.innerHTML === live.innerHTML) return;
    const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
    live.replaceWith(part);
    if (focused) document.getElementById(focused)?.focus();
  } catch {
    // The next look may succeed; nothing here is lost meanwhile.
  }
}

setInterval(refresh, PERIOD_MS);
document.addEventListener("visibilitychange", refresh);
