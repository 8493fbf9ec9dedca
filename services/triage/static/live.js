// The worklist page: keeps the list current without moving what the reader looks at. When the stream names another version,
// the list is fetched anew and only the rows that differ are changed.
import { setServerNow, tick } from "./clock.js";
import { initActions } from "./actions.js";
import { raiseAlerts } from "./alerts.js";
import { _ } from "./i18n.js";
import { initKeys } from "./keys.js";
import { initSound } from "./sound.js";
import { follow } from "./stream.js";

const LIVE = { "x-nightjar-live": "1" };

const main = document.getElementById("main");
const find = document.getElementById("find");
const said = document.getElementById("said");

let held = null; // version of the list on the page
let stream = null;
let fetching = null;
let again = false;

// ---- the list -------------------------------------------------------------------------------------------------------

/** A row's markup as the server wrote it, without what ticks, to tell whether two rows differ. */
function essence(row) {
  return row.outerHTML.replace(/(<time class="wait"[^>]*>)[^<]*/, "$1");
}

const essences = new WeakMap();

function remember(root) {
  for (const row of root.querySelectorAll("tr[data-key]")) essences.set(row, essence(row));
}

/** Where the focus is, in words that survive a replaced element. */
function focusPlace() {
  const element = document.activeElement;
  const owner = element?.closest("[data-key], [id^=part-]");
  return owner && element.dataset.focus ? { key: owner.dataset.key, part: owner.id, name: element.dataset.focus } : null;
}

function restoreFocus(place) {
  if (!place) return;
  const scope = place.key ? main.querySelector(`tr[data-key="${place.key}"]`) : document.getElementById(place.part);
  // A claimed row has no claim button any more: its link keeps the reader's place.
  const target = scope?.querySelector(`[data-focus="${place.name}"]`) ?? scope?.querySelector("[data-focus]");
  if (target && target !== document.activeElement) target.focus({ preventScroll: true });
}

/** Put the server's rows in place of ours; equal rows stay the same elements. */
function mergeRows(current, fresh, isFilterChange) {
  const ours = current.querySelector("tbody");
  const theirs = fresh.querySelector("tbody");
  if (!ours || !theirs) {
    current.replaceChildren(...fresh.childNodes);
    return;
  }
  const known = new Map([...ours.rows].map((row) => [row.dataset.key, row]));
  let place = ours.firstElementChild;
  for (const row of [...theirs.rows]) {
    let shown = known.get(row.dataset.key);
    known.delete(row.dataset.key);
    if (!shown) {
      if (!isFilterChange) row.classList.add("arrived");
      shown = row;
      ours.insertBefore(row, place);
    } else if (essences.get(shown) === essences.get(row)) {
      if (shown === place) place = place.nextElementSibling;
      else ours.insertBefore(shown, place);
    } else {
      if (shown === place) place = place.nextElementSibling;
      shown.remove();
      ours.insertBefore(row, place);
    }
  }
  for (const gone of known.values()) gone.remove();
}

function show(html, isFilterChange = false) {
  const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("live");
  const live = document.getElementById("live");
  if (!fresh || !live) return;
  remember(fresh);
  const place = focusPlace();
  // While reading further down, the row in hand stays where it is on the screen.
  const anchor = window.scrollY > 0 ? document.activeElement?.closest("tr[data-key]") ?? firstVisibleRow() : null;
  const anchorKey = anchor?.dataset.key;
  const before = anchor?.getBoundingClientRect().top;
  for (const part of fresh.querySelectorAll(":scope > [id^=part-]")) {
    const shown = document.getElementById(part.id);
    if (part.id === "part-rows") mergeRows(shown, part, isFilterChange);
    else if (shown.innerHTML !== part.innerHTML) shown.replaceChildren(...part.childNodes);
  }
  Object.assign(live.dataset, fresh.dataset);
  restoreFocus(place);
  settle();
  const after = anchorKey && main.querySelector(`tr[data-key="${anchorKey}"]`)?.getBoundingClientRect().top;
  if (typeof after === "number" && after !== before) window.scrollBy({ top: after - before, behavior: "instant" });
}

function firstVisibleRow() {
  return [...main.querySelectorAll("tr[data-key]")].find((row) => row.getBoundingClientRect().top >= 0) ?? null;
}

/** What follows from the list on the page, however it came there. */
function settle() {
  const { version, now, flags } = document.getElementById("live").dataset;
  held = version;
  setServerNow(now);
  document.title = `${Number(flags) ? `(${flags}) ` : ""}${_("Worklist")} · Nightjar`;
  applyFind();
  raiseAlerts(main, call);
  tick();
}

async function refetch({ isFilterChange = false } = {}) {
  if (fetching) {
    again = true;
    return fetching;
  }
  fetching = (async () => {
    try {
      do {
        again = false;
        const address = location.pathname + location.search;
        const response = await fetch(address, { headers: LIVE, signal: AbortSignal.timeout(10000) });
        if (response.status === 401) return location.assign("/sign-in");
        if (!response.ok) return;
        const html = await response.text();
        if (address !== location.pathname + location.search) {
          again = true; // the reader changed the filters meanwhile
          continue;
        }
        stream.isCurrent();
        show(html, isFilterChange);
      } while (again);
    } catch {
      // The stream notices a lost connection and says so.
    } finally {
      fetching = null;
      stream.watch();
    }
  })();
  return fetching;
}

// ---- filters --------------------------------------------------------------------------------------------------------

/** Hide rows that do not hold every word searched for. Happens here, so that no name travels in an address. */
function applyFind() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of main.querySelectorAll("tr[data-key]")) {
    const text = row.querySelector(".c-patient").textContent + " " + row.querySelector(".c-study").textContent;
    row.hidden = !words.every((word) => text.toLowerCase().includes(word));
    shown += row.hidden ? 0 : 1;
  }
  const none = document.getElementById("find-none");
  if (!words.length || shown) none?.remove();
  else if (!none) {
    const note = document.createElement("p");
    note.id = "find-none";
    note.className = "foot";
    note.textContent = _("No study on this list holds these words. Enter looks for a patient ID or accession number in every study.");
    document.getElementById("part-rows").append(note);
  }
}

function go(address) {
  history.replaceState(null, "", address);
  return refetch({ isFilterChange: true });
}

function setParameter(name, value, unless) {
  const parameters = new URLSearchParams(location.search);
  if (value && value !== unless) parameters.set(name, value);
  else parameters.delete(name);
  const query = parameters.toString();
  return go(query ? `/?${query}` : "/");
}

function sortBy(order) {
  document.getElementById("sort").value = order;
  said.textContent = order === "arrival" ? _("Ordered by arrival.") : _("Ordered by priority.");
  return setParameter("sort", order, "priority");
}

// ---- claims ---------------------------------------------------------------------------------------------------------

async function postClaim(form) {
  try {
    const response = await fetch(form.action, { method: "POST", headers: LIVE });
    if (response.status === 401) return location.assign("/sign-in");
    said.textContent = response.ok
      ? form.action.endsWith("/claim") ? _("Claimed.") : _("Released.")
      : (await response.json()).detail;
  } catch {
    said.textContent = _("Not done: the connection is lost.");
  }
  return refetch();
}

// ---- pictures -------------------------------------------------------------------------------------------------------

/** With or without outlines, remembered for this browser; the server draws them. */
function switchOutlines() {
  const isOn = document.getElementById("live").dataset.outlines !== "on";
  document.cookie = `nightjar_outlines=${isOn ? "on" : "off"}; path=/; max-age=31536000; samesite=lax`;
  said.textContent = isOn ? _("Outlines are shown.") : _("Outlines are hidden.");
  refetch({ isFilterChange: true });
}

// ---- start ----------------------------------------------------------------------------------------------------------

main.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-claim]")) {
    if (event.target.matches(".filters") || (event.target.id === "search" && !find.value.trim())) event.preventDefault();
    return;
  }
  event.preventDefault();
  postClaim(event.target);
});
main.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-filter]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    const address = new URL(link.href);
    document.getElementById("state").value = address.searchParams.get("state") ?? "";
    go(address.pathname + address.search);
    return;
  }
  // A click anywhere on a row opens it, as in every worklist; text can still be selected.
  const row = event.target.closest("tr[data-key]");
  if (event.target.closest("[data-more]")) return openActions(row);
  if (row && !event.target.closest("a, button, form") && !getSelection().toString()) row.querySelector("a.open").click();
});
find.addEventListener("input", applyFind);
document.getElementById("state").addEventListener("change", (event) => setParameter("state", event.target.value));
document.getElementById("sort").addEventListener("change", (event) => sortBy(event.target.value));
addEventListener("pagehide", () => {
  sessionStorage.setItem("nightjar.list", location.search); // the viewer goes on to the next study of this list
});

const call = initSound(main.dataset.account);
const openActions = initActions((what) => {
  said.textContent = what;
  refetch();
});
initKeys({ main, find, sortBy, claim: postClaim, openActions, switchOutlines });
remember(main);
settle();
stream = follow("/events", { held: () => held, refetch, lost: document.getElementById("lost"), said });
setInterval(tick, 1000);
