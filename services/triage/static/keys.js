// Keys of the worklist. Single letters are ignored while typing and can be switched off.

import { initSwitch, isTyping } from "./single-keys.js";

const SEQUENCE_MS = 1200;

export function initKeys({ main, find, sortBy, claim, openActions, switchOutlines }) {
  const dialog = document.getElementById("keys");
  const areOn = initSwitch();
  let pressedG = 0;

  const links = () => [...main.querySelectorAll("tr[data-key]:not([hidden]) a.open")];
  const currentRow = () => document.activeElement?.closest("tr[data-key]");

  function move(step) {
    const all = links();
    if (!all.length) return;
    const at = all.indexOf(currentRow()?.querySelector("a.open"));
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step));
    all[next].focus({ preventScroll: true });
    all[next].closest("tr").scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
    const typing = isTyping(event.target);
    if (event.key === "Escape") {
      if (typing) (links()[0] ?? main.querySelector("a"))?.focus();
      return;
    }
    if (typing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!currentRow() && document.activeElement !== document.body) return;
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
      return;
    }
    if (!areOn()) return;
    const key = event.key.toLowerCase();
    const afterG = Date.now() - pressedG < SEQUENCE_MS;
    pressedG = key === "g" ? Date.now() : 0;
    const actions = {
      j: () => move(1),
      k: () => move(-1),
      c: () => {
        const form = currentRow()?.querySelector("form[data-claim]");
        if (form) claim(form);
      },
      f: () => find.focus(),
      h: () => openActions(currentRow(), "hand-over"),
      d: () => openActions(currentRow(), "dismiss"),
      o: () => switchOutlines(),
      "?": () => dialog.showModal(),
      ...(afterG && { p: () => sortBy("priority"), a: () => sortBy("arrival") }),
    };
    if (!Object.hasOwn(actions, key)) return;
    event.preventDefault();
    actions[key]();
  });
}
