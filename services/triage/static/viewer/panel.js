// The panel beside the images: findings to go to, opinions, claims; kept current while the study is open.
import { _ } from "../i18n.js";

const LIVE = { "x-nightjar-live": "1" };
const LOST_AFTER_MS = 6000;
const said = document.getElementById("said");
const lost = document.getElementById("lost");

/** The answers on the page, each with its labels' colours. */
export function readAnswers() {
  return [...document.querySelectorAll("#panel article[data-analysis]")].map((article) => ({
    id: article.dataset.analysis,
    isDrawn: "drawn" in article.dataset,
    colours: new Map(
      article.dataset.labels.split(",").filter(Boolean).map((text) => {
        const [value, colour] = text.split(" ");
        return [Number(value), colour];
      }),
    ),
  }));
}

/** The findings that lie on the series shown, in the panel's order. */
export function readFindings() {
  return [...document.querySelectorAll("#panel [data-finding]")].map((button) => ({
    button,
    analysis: button.closest("article").dataset.analysis,
    name: button.dataset.name,
    label: Number(button.dataset.label ?? 0),
    slice: Number(button.dataset.slice),
    volume: Number(button.dataset.volume),
  }));
}

export class Panel {
  constructor() {
    this.version = document.getElementById("panel").dataset.version;
    this.answers = readAnswers().map((answer) => answer.id).join();
    this.heardAt = Date.now();
    document.addEventListener("submit", (event) => {
      const form = event.target;
      if (!form.matches("#panel form")) return;
      event.preventDefault();
      this.post(form, event.submitter);
    });
    this.#listen();
    setInterval(() => this.#watch(), 1000);
    addEventListener("pagehide", () => this.source.close());
  }

  async post(form, submitter = null) {
    try {
      const body = new URLSearchParams(new FormData(form, submitter));
      const response = await fetch(form.action, { method: "POST", headers: LIVE, body });
      if (response.status === 401) return location.assign("/sign-in");
      const detail = response.ok ? null : (await response.json()).detail;
      said.textContent = detail ?? _("Done.");
      await this.refetch({ always: true });
      if (detail) this.#complain(detail);
    } catch {
      this.#complain(_("Not stored: the connection is lost. Try again."));
    }
  }

  async refetch({ always = false } = {}) {
    const panel = document.getElementById("panel");
    // Not while somebody is about to press a button in it.
    if (!always && panel.querySelector("details.disagree[open]")) return;
    const response = await fetch(location.pathname + location.search, { headers: LIVE });
    if (response.status === 401) return location.assign("/sign-in");
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("panel");
    this.version = fresh.dataset.version;
    if (fresh.innerHTML === panel.innerHTML && !always) return;
    const open = [...panel.querySelectorAll("details.limits")].map((details) => details.open);
    const focus = [...panel.querySelectorAll("a, button, summary")].indexOf(document.activeElement);
    const scrolled = panel.scrollTop;
    panel.replaceChildren(...fresh.childNodes);
    panel.querySelectorAll("details.limits").forEach((details, n) => (details.open = open[n] ?? false));
    if (focus >= 0) [...panel.querySelectorAll("a, button, summary")][focus]?.focus({ preventScroll: true });
    panel.scrollTop = scrolled;
    const answers = readAnswers().map((answer) => answer.id).join();
    if (answers !== this.answers) {
      this.answers = answers;
      said.textContent = _("There is a new answer.");
      this.onanswers?.();
    }
    this.onrefetched?.();
  }

  #complain(text) {
    document.getElementById("complaint")?.remove();
    const note = Object.assign(document.createElement("p"), { id: "complaint", className: "problem", textContent: text });
    note.setAttribute("role", "alert");
    document.getElementById("panel").prepend(note);
  }

  #listen() {
    this.source?.close();
    this.source = new EventSource("/events");
    this.source.addEventListener("message", (event) => {
      this.heardAt = Date.now();
      const { version } = JSON.parse(event.data);
      if (version !== this.version) this.refetch().catch(() => {});
    });
    this.source.addEventListener("error", () => {
      this.source.close();
      setTimeout(() => this.#listen(), 2000);
    });
  }

  #watch() {
    const silence = Date.now() - this.heardAt;
    lost.hidden = silence < LOST_AFTER_MS;
    if (!lost.hidden) lost.textContent = _("Connection lost. Findings are %(seconds)s s old. Reconnecting", { seconds: Math.round(silence / 1000) });
    if (silence > 2 * LOST_AFTER_MS && this.source.readyState === EventSource.OPEN) this.#listen();
  }
}
