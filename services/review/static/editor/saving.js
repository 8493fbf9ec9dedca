// Versions to the server. What is drawn stays in the tab until the server has it.

import { _ } from "../../i18n.js";

const PAUSE_MS = 1500;
const RETRY_MS = 4000;

/** The mask as it goes: slices that show anything, all their voxels, compressed. */
async function packed(labels) {
  const slices = [];
  for (let k = 0; k < labels.slices; k += 1) if (labels.slice(k).some((value) => value)) slices.push(k);
  const voxels = new Uint8Array(slices.length * labels.size);
  slices.forEach((k, n) => voxels.set(labels.slice(k), n * labels.size));
  const stream = new Blob([voxels]).stream().pipeThrough(new CompressionStream("gzip"));
  return { slices, body: await new Response(stream).blob() };
}

export class Saving {
  /**
   * `say(state, words)`: saved, waiting, failed or stopped. `base`: digest of what was opened, or empty.
   */
  constructor(address, labels, base, say) {
    Object.assign(this, { address, labels, base, say, savedVersion: labels.version, isRunning: null, isStopped: false });
    this.tools = new Set();
    addEventListener("beforeunload", (event) => {
      if (this.isDirty) event.preventDefault();
    });
    addEventListener("pagehide", () => clearTimeout(this.timer));
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden" && this.isDirty) this.save().catch(() => {});
    });
  }

  get isDirty() {
    return !this.isStopped && this.labels.version !== this.savedVersion;
  }

  /** Something changed: save soon. */
  soon(wait = PAUSE_MS) {
    if (this.isStopped) return;
    this.say("waiting", _("Not saved yet"));
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.save().catch(() => {});
    }, wait);
  }

  /** Save now; with `submit`, hand it in. Resolves to what the server answered; null when there was nothing to do. */
  async save({ submit = false } = {}) {
    while (this.isRunning) await this.isRunning.catch(() => {});
    if (this.isStopped || (!submit && !this.isDirty)) return null;
    this.isRunning = this.#send(submit);
    try {
      return await this.isRunning;
    } finally {
      this.isRunning = null;
    }
  }

  async #send(submit) {
    clearTimeout(this.timer);
    this.timer = null;
    const version = this.labels.version;
    const { slices, body } = await packed(this.labels);
    const query = new URLSearchParams({ base: this.base ?? "", over: this.isOver ? "1" : "0", submit: submit ? "1" : "0", tool: [...this.tools].sort().join(" ") });
    let response;
    try {
      response = await fetch(`${this.address}/mask?${query}`, {
        method: "POST",
        headers: { "x-nightjar-live": "1", "content-type": "application/octet-stream", "x-nightjar-slices": JSON.stringify(slices) },
        body,
      });
    } catch {
      return this.#later(_("Could not save. Your edits stay in this tab. Retrying"));
    }
    if (response.status === 401) {
      return this.#later(_("Could not save: your session has ended. Your edits stay in this tab. Sign in again in another tab. Retrying"));
    }
    const answer = await response.json().catch(() => ({}));
    if (response.ok) {
      this.base = answer.digest;
      this.isOver = false;
      this.savedVersion = version;
      if (this.labels.version === version) this.say("saved", submit ? _("Submitted") : _("Saved %(time)s", { time: new Date().toLocaleTimeString([], { hour12: false }) }));
      else this.soon();
      if (submit) this.isStopped = true;
      return answer;
    }
    if (response.status >= 500) return this.#later(_("Could not save. Your edits stay in this tab. Retrying"));
    const words = typeof answer.detail === "string" ? answer.detail : _("The server refused this mask.");
    this.isStale = answer.stale === true;
    if (!submit || this.isStale) this.isStopped = response.status === 409 || response.status === 403;
    this.say(this.isStopped ? "stopped" : "failed", _("Not saved. %(reason)s Your edits stay in this tab.", { reason: words }));
    throw new Error(words);
  }

  /** What is in this tab takes the place of a version that was saved elsewhere meanwhile; both are kept. */
  takeOver() {
    Object.assign(this, { isStopped: false, isStale: false, isOver: true });
    return this.save();
  }

  #later(words) {
    this.say("failed", words);
    this.timer = setTimeout(() => {
      this.timer = null;
      this.save().catch(() => {});
    }, RETRY_MS);
    throw new Error(words);
  }
}
