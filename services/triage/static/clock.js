// Waiting times that tick, by the server's clock: this machine's may be wrong.

let offset = 0;

/** Learn the server's clock from milliseconds since 1970 as it wrote them into the page. */
export function setServerNow(milliseconds) {
  offset = Number(milliseconds) - Date.now();
}

/** The same words as the server's format_wait. */
export function formatWait(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, "0")}`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Rewrite every waiting time that changed its words. */
export function tick() {
  const now = Date.now() + offset;
  for (const time of document.querySelectorAll("time.wait")) {
    const text = formatWait(Number(time.dataset.until || now) - Number(time.dataset.since));
    if (time.textContent !== text) time.textContent = text;
  }
}
