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
