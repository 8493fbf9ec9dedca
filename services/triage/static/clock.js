// Waiting times that tick, by the server's clock: this machine's may be wrong.
import { _ } from "./i18n.js";

let offset = 0;

/** Learn the server's clock from milliseconds since 1970 as it wrote them into the page. */
export function setServerNow(milliseconds) {
  offset = Number(milliseconds) - Date.now();
}

/** The same words as the server's format_wait. */
export function formatWait(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return _("%(seconds)s s", { seconds });
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return _("%(minutes)s min", { minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return _("%(hours)s h %(minutes)s", { hours, minutes: String(minutes % 60).padStart(2, "0") });
  return _("%(days)s d %(hours)s h", { days: Math.floor(hours / 24), hours: hours % 24 });
}

/** Rewrite every waiting time that changed its words. */
export function tick() {
  const now = Date.now() + offset;
  for (const time of document.querySelectorAll("time.wait")) {
    const text = formatWait(Number(time.dataset.until || now) - Number(time.dataset.since));
    if (time.textContent !== text) time.textContent = text;
  }
}
