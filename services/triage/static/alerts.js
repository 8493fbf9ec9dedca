// Banners for Immediate results that nobody claimed, until this reader acknowledges them, at whichever station.
import { _ } from "./i18n.js";

const LIVE = { "x-nightjar-live": "1" };
const box = document.getElementById("alerts");
const acknowledged = new Set(); // here, until the server's list says so too

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function acknowledge(names) {
  for (const name of names) acknowledged.add(name);
  const body = new URLSearchParams(names.map((name) => ["alert", name]));
  fetch("/acknowledge", { method: "POST", headers: LIVE, body }).catch(() => {
    // Without a connection it holds for this page; the banner comes back with the next one.
  });
}

/** Show the first unacknowledged Immediate row and how many more there are; nothing when there is none. */
export function raiseAlerts(main, call) {
  const rows = [...main.querySelectorAll("tr[data-alert]")].filter((row) => !acknowledged.has(row.dataset.alert));
  const names = rows.map((row) => row.dataset.alert);
  call(rows.length > 0);
  if (box.dataset.names === names.join(" ")) return;
  const hadFocus = box.contains(document.activeElement);
  box.dataset.names = names.join(" ");
  box.replaceChildren();
  if (!rows.length) {
    if (hadFocus) main.querySelector("a.open")?.focus();
    return;
  }
  const row = rows[0];
  const shape = row.querySelector(".shape").cloneNode(true);
  const suspected = row.querySelector(".suspected")?.textContent ?? row.querySelector(".ai").textContent;
  const patient = row.querySelector("a.open");
  const more = rows.length > 1 ? _("%(count)s more", { count: rows.length - 1 }) : "";
  const text = element("p", {}, element("b", { textContent: _("Immediate") }), ` · ${suspected} · ${[patient.textContent, more].filter(Boolean).join(" · ")}`);
  const open = element("a", { className: "button", href: patient.href, textContent: _("Open") });
  const done = element("button", { type: "button", textContent: rows.length > 1 ? _("Acknowledge all %(count)s", { count: rows.length }) : _("Acknowledge") });
  done.addEventListener("click", () => {
    acknowledge(names);
    raiseAlerts(main, call);
  });
  box.append(element("div", { className: "alert" }, shape, text, element("div", { className: "actions" }, open, done)));
  if (hadFocus) done.focus();
}
