// The dialog of keys, and the switch in it that turns single-letter keys off for this browser.

const SWITCH = "nightjar.single-keys";

/** Wires dialog and switch; returns a function that tells whether single-letter keys are on. */
export function initSwitch() {
  const dialog = document.getElementById("keys");
  const box = document.getElementById("single-keys");
  box.checked = localStorage.getItem(SWITCH) !== "off";
  box.addEventListener("change", () => localStorage.setItem(SWITCH, box.checked ? "on" : "off"));
  document.getElementById("show-keys").addEventListener("click", () => dialog.showModal());
  return () => box.checked;
}

/** Whether a key belongs to the field it is typed in. A dialog that has just closed keeps the focus for a moment: what is typed then is the page's. */
export function isTyping(target) {
  return Boolean(target.closest?.("input, select, textarea, [contenteditable]")) && !target.closest("dialog:not([open])");
}
