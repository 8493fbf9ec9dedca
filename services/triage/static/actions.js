// What else can be done with a study of the list: hand it over, dismiss its flag, take that back. One dialog for all rows.
import { _ } from "./i18n.js";

const LIVE = { "x-nightjar-live": "1" };
const dialog = document.getElementById("actions");
const complaint = dialog.querySelector(".problem");

/** Opens the dialog for a row, at the part asked for: hand-over or dismiss. Says what it did through `done`. */
export function initActions(done) {
  let row = null;

  function open(target, part = null) {
    row = target;
    if (!row?.querySelector("[data-more]")) return;
    const { mine, flag } = row.dataset;
    dialog.querySelector("h2").textContent = row.querySelector("a.open").textContent;
    dialog.querySelector("[data-part=hand-over]").hidden = mine === undefined;
    dialog.querySelector("[data-part=dismiss]").hidden = flag !== "raised";
    dialog.querySelector("[data-part=restore]").hidden = flag !== "dismissed";
    dialog.querySelector("[data-part=none]").hidden = mine !== undefined || flag !== undefined;
    for (const form of dialog.querySelectorAll("form[data-action]")) form.action = `/studies/${row.dataset.key}/${form.dataset.action}`;
    complaint.hidden = true;
    dialog.showModal();
    dialog.querySelector(`[data-part=${part}]:not([hidden]) :is(select, button)`)?.focus();
  }

  dialog.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.action) return;
    event.preventDefault();
    try {
      const body = new URLSearchParams(new FormData(form, event.submitter));
      const response = await fetch(form.action, { method: "POST", headers: LIVE, body });
      if (response.status === 401) return location.assign("/sign-in");
      if (!response.ok) throw new Error((await response.json()).detail);
      dialog.close();
      done(form.dataset.said);
    } catch (error) {
      complaint.textContent = error instanceof TypeError ? _("Not done: the connection is lost.") : error.message;
      complaint.hidden = false;
    }
  });
  return open;
}
