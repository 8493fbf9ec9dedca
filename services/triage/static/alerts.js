// Banners for Immediate results that nobody claimed, until this reader acknowledges them.

const REMEMBERED = 400;
const box = document.getElementById("alerts");

function storageKey(main) {
  return `nightjar.acknowledged.${main.dataset.account}`;
}

function acknowledged(main) {
  try {
    return JSON.parse(localStorage.getItem(storageKey(main)) ?? "[]");
  } catch {
    return [];
  }
}

function acknowledge(main, names) {
  localStorage.setItem(storageKey(main), JSON.stringify([...acknowledged(main), ...names].slice(-REMEMBERED)));
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Show the first unacknowledged Immediate row and how many more there are; nothing when there is none. */
export function raiseAlerts(main) {
  const known = new Set(acknowledged(main));
  const rows = [...main.querySelectorAll("tr[data-alert]")].filter((row) => !known.has(row.dataset.alert));
  const names = rows.map((row) => row.dataset.alert);
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
  const more = rows.length > 1 ? ` · ${rows.length - 1} more` : "";
  const text = element("p", {}, element("b", { textContent: "Immediate" }), ` · ${suspected} · ${patient.textContent}${more}`);
  const open = element("a", { className: "button", href: patient.href, textContent: "Open" });
  const done = element("button", { type: "button", textContent: rows.length > 1 ? `Acknowledge all ${rows.length}` : "Acknowledge" });
  done.addEventListener("click", () => {
    acknowledge(main, names);
    raiseAlerts(main);
  });
  box.append(element("div", { className: "alert" }, shape, text, element("div", { className: "actions" }, open, done)));
  if (hadFocus) done.focus();
}
