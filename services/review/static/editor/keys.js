// Keys of the editor. Single letters are ignored while typing and can be switched off.
import { initSwitch } from "../../single-keys.js";

export function initKeys({ actions, desk }) {
  const dialog = document.getElementById("keys");
  const areOn = initSwitch();
  const always = {
    ArrowUp: () => actions.slice(-1), ArrowDown: () => actions.slice(1), ArrowLeft: () => actions.slice(-1), ArrowRight: () => actions.slice(1),
    PageUp: () => actions.slice(-5), PageDown: () => actions.slice(5), Home: () => actions.slice(-Infinity), End: () => actions.slice(Infinity),
    Enter: () => actions.close(), Escape: () => actions.escape(), Delete: () => actions.clear(),
  };
  const single = {
    b: () => actions.tool("brush"), e: () => actions.tool("eraser"), p: () => actions.tool("polygon"), f: () => actions.tool("fill"), g: () => actions.tool("grow"),
    "[": () => actions.size(1 / 1.25), "]": () => actions.size(1.25), t: () => actions.toggle3d(), i: () => actions.toggleLimit(), l: () => actions.between(),
    x: () => actions.snap(), d: () => actions.difference(), a: () => actions.reference(), s: () => actions.hide(), o: () => actions.filled(), m: () => actions.beside(), c: () => actions.comment(),
    n: () => actions.nextChanged(1), 1: () => actions.window("1"), 2: () => actions.window("2"), 3: () => actions.window("3"), 4: () => actions.window("4"),
    "+": () => actions.zoom(1.25), "=": () => actions.zoom(1.25), "-": () => actions.zoom(0.8), " ": () => actions.reset(), "?": () => dialog.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || dialog.open || !desk()) return;
    const { target, key } = event;
    const isTyping = target.closest?.("input:not([type=checkbox]):not([type=range]), select, textarea, [contenteditable]");
    if (event.ctrlKey || event.metaKey) {
      const combined = { z: () => actions.undo(), y: () => actions.redo(), Z: () => actions.redo(), Enter: () => actions.submit() }[key];
      if (!combined || (isTyping && key !== "Enter")) return;
      event.preventDefault();
      return combined();
    }
    if (event.altKey) {
      // Digits by their place: with Alt, some layouts type another sign.
      const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
      if (!digit) return;
      event.preventDefault();
      return actions.label(Number(digit));
    }
    if (isTyping) return;
    if (Object.hasOwn(always, key)) {
      if (key === "Enter" && target.closest?.("button, a, summary")) return;
      if (key.startsWith("Arrow") && target.closest?.("input")) return;
      if (target.closest?.("aside") && !["Enter", "Escape"].includes(key)) return;
      event.preventDefault();
      return always[key]();
    }
    if (key === " " && target.closest?.("a, button, summary, input")) return;
    if (!areOn() || event.repeat && !"[]".includes(key)) return;
    const action = single[key] ?? single[key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
