// The quick viewer: loads a study's images, shows them, and does what keys and buttons ask.
import { setServerNow, tick } from "../clock.js";
import { _ } from "../i18n.js";
import { Stack } from "./geometry.js";
import { initKeys } from "./keys.js";
import { bySlice, loadImages, loadLabels, merge } from "./loading.js";
import { Pane } from "./pane.js";
import { Panel, readAnswers, readFindings } from "./panel.js";
import { initPane, initTrack } from "./pointer.js";
import { View } from "./state.js";

const main = document.getElementById("main");
const message = document.getElementById("message");
const said = document.getElementById("said");
const { series, slice, key } = main.dataset;

let view = null;
let track = null;
let current = -1; // of the findings
let hasMoved = false;

function say(title, text) {
  const paragraphs = [Object.assign(document.createElement("b"), { textContent: title }), text].filter(Boolean);
  message.replaceChildren(...paragraphs.map((content) => {
    const p = document.createElement("p");
    p.append(content);
    return p;
  }));
  message.hidden = false;
}

// ---- findings -------------------------------------------------------------------------------------------------------

const asked = new Map(); // labels on their way, by analysis

/** Ask for the labels while the images are still coming. */
function askForLabels() {
  for (const { id, isDrawn } of readAnswers()) {
    if (!isDrawn) continue;
    const labels = loadLabels(series, id);
    labels.catch(() => {}); // said where they are waited for
    asked.set(id, labels);
  }
}

/** Labels of all answers on this series, each answer's values behind the one before. */
async function showLabels() {
  const answers = readAnswers().filter((answer) => answer.isDrawn);
  const colours = new Map();
  const names = new Map();
  const shifts = new Map();
  const loaded = [];
  let shift = 0;
  for (const answer of answers) {
    try {
      const labels = asked.get(answer.id) ?? loadLabels(series, answer.id);
      asked.delete(answer.id);
      const planes = bySlice(await labels, view.stack.rows * view.stack.columns);
      loaded.push({ planes, shift });
      shifts.set(answer.id, shift);
      for (const [value, colour] of answer.colours) colours.set(value + shift, colour);
      for (const finding of readFindings()) if (finding.analysis === answer.id) names.set(finding.label + shift, finding.name);
      shift += Math.max(0, ...answer.colours.keys());
    } catch (error) {
      said.textContent = error.message;
      const note = Object.assign(document.createElement("p"), { className: "why amber", textContent: error.message });
      document.querySelector(`#panel article[data-analysis="${answer.id}"] ul`)?.after(note);
    }
  }
  view.shifts = shifts;
  view.setLabels(loaded.length === 1 ? loaded[0].planes : merge(loaded), colours);
  track.mark(names);
}

function goToFinding(index) {
  const findings = readFindings();
  if (!findings.length || !view) return;
  current = (index + findings.length) % findings.length;
  const finding = findings[current];
  const label = finding.label + (view.shifts?.get(finding.analysis) ?? 0);
  view.goTo(finding.slice, view.middleOf(label, finding.slice));
  markFinding();
  said.textContent = _("Suspected %(label)s, slice %(number)s", { label: finding.name, number: finding.slice + 1 });
}

function markFinding() {
  readFindings().forEach(({ button }, n) => (n === current ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current")));
}

const largest = () => readFindings().reduce((best, finding, n, all) => (best < 0 || finding.volume > all[best].volume ? n : best), -1);

// ---- actions --------------------------------------------------------------------------------------------------------

function article() {
  const finding = readFindings()[current];
  const answers = [...document.querySelectorAll("#panel article[data-analysis]")];
  return answers.find((each) => each.dataset.analysis === finding?.analysis) ?? answers[0];
}

const actions = {
  finding: (step) => goToFinding(current < 0 && step < 0 ? -1 : current + step),
  window: (preset) => view?.preset(preset),
  overlay: () => view?.nextOverlay(),
  invert: () => view?.invert(),
  reset: () => view?.reset(),
  zoom: (factor) => {
    view?.panes.slice.zoomBy(factor);
    view?.request();
  },
  planes: () => {
    main.classList.toggle("slice-only");
    view?.request();
    settleTools();
  },
  study: (step) => {
    const list = new URLSearchParams(sessionStorage.getItem("nightjar.list") ?? "");
    list.set("step", step);
    location.assign(`/studies/${key}/next?${list}`);
  },
  claim: () => document.querySelector("#panel form[data-claim] button")?.click(),
  agree: () => article()?.querySelector("[data-agree]")?.click(),
  disagree: () => {
    const details = article()?.querySelector("details.disagree");
    if (!details) return;
    details.open = true;
    details.querySelector("button")?.focus();
  },
  escape: () => {
    const open = document.querySelector("details.disagree[open]");
    if (!open) return document.getElementById("back").click();
    open.open = false;
    open.querySelector("summary").focus();
  },
};

function settleTools() {
  if (!view) return;
  document.getElementById("overlay-name").textContent = { outline: _("Outline"), fill: _("Fill"), off: _("No outline") }[view.overlay];
  for (const button of document.querySelectorAll("[data-preset]")) {
    const isOn = view.isCt ? button.firstChild.textContent.trim() === view.window.name : button.dataset.preset === "1" && view.window.name !== "";
    button.setAttribute("aria-pressed", isOn);
  }
  document.querySelector('[data-do="invert"]').setAttribute("aria-pressed", view.isInverted);
  document.querySelector('[data-do="planes"]').setAttribute("aria-pressed", !main.classList.contains("slice-only"));
}

// ---- start ----------------------------------------------------------------------------------------------------------

async function start() {
  if (!series) return;
  const picture = document.querySelector(".first-picture");
  const seen = () => performance.mark("nightjar:first-picture");
  picture.addEventListener("error", () => picture.remove());
  if (picture.complete && picture.naturalWidth) seen();
  else picture.addEventListener("load", seen);
  try {
    const images = loadImages(series);
    askForLabels();
    const { geometry, voxels } = await images;
    const panes = Object.fromEntries([...document.querySelectorAll("[data-pane]")].map((element) => [element.dataset.pane, new Pane(element)]));
    view = new View(panes, { stack: new Stack(geometry), voxels, geometry }, Number(slice));
    for (const [name, pane] of Object.entries(panes)) initPane(pane, name, view);
    track = initTrack(document.getElementById("track"), view);
    view.ondraw = () => {
      track.update();
      settleTools();
    };
    if (!geometry.is_ct) for (const button of document.querySelectorAll('[data-preset]:not([data-preset="1"])')) button.hidden = true;
    view.draw();
    picture.remove();
    message.hidden = true;
    performance.mark("nightjar:ready");
    main.dataset.state = "images";
    for (const type of ["wheel", "pointerdown", "keydown"]) addEventListener(type, () => (hasMoved = true), { once: true, passive: true });
    await showLabels();
    if (!hasMoved) goToFinding(largest());
    view.draw();
    performance.mark("nightjar:outlined");
    main.dataset.state = "ready";
  } catch (error) {
    main.dataset.state = "failed";
    picture.remove();
    say(_("The images cannot be shown"), error.message);
  }
}

main.view = () => view; // for measurements
main.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) return actions[button.dataset.do](button.dataset.do === "finding" ? 1 : button.dataset.preset);
  const finding = event.target.closest("[data-finding]");
  if (finding) goToFinding(readFindings().findIndex((each) => each.button === finding));
  const step = event.target.closest("a[data-step]");
  if (step && event.button === 0 && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    actions.study(Number(step.dataset.step));
  }
});
document.getElementById("series")?.addEventListener("change", (event) => event.target.form.submit());

const panel = new Panel();
panel.onrefetched = () => {
  markFinding();
  tick();
};
panel.onanswers = () => {
  current = -1;
  if (view) showLabels();
};
setServerNow(main.dataset.now);
tick();
setInterval(tick, 1000);
initKeys({ actions, view: () => view });
start();
