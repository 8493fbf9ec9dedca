// A mask from elsewhere: drop it, see what it would become, then store it.

import { _ } from "../../i18n.js";

const main = document.getElementById("main");
const $ = (id) => document.getElementById(id);
const labels = main.dataset.labels.split("|").map((text) => [Number(text.slice(0, text.indexOf(" "))), text.slice(text.indexOf(" ") + 1)]);

let file = null;
let isResampled = false;
let mapping = null; // number in the file -> label, 0 for none, null for not chosen
let turn = 0;

const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

async function send(path) {
  const body = new FormData();
  body.append("file", file);
  body.append("resampled", isResampled ? "true" : "false");
  body.append("mapping", mapping ? JSON.stringify(mapping) : "");
  let response;
  try {
    response = await fetch(`${main.dataset.address}${path}`, { method: "POST", headers: { "x-nightjar-live": "1" }, body });
  } catch {
    throw new Error(_("The file did not arrive: the connection is lost, or the file changed on your disk. Nothing was stored. Try again."));
  }
  if (response.status === 401) return location.assign("/sign-in");
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(typeof answer.detail === "string" ? answer.detail : _("The file did not arrive whole. Nothing was stored."));
  return answer;
}

function showProblem(text, canResample = false) {
  $("problem").hidden = !text;
  $("problem-text").textContent = text ?? "";
  $("resample").hidden = !canResample;
}

async function check() {
  const mine = (turn += 1);
  showProblem(null);
  main.dataset.state = "checking";
  $("state").textContent = _("Checking %(file)s", { file: file.name });
  try {
    const answer = await send("/check");
    if (mine !== turn || !answer) return;
    $("result").hidden = Boolean(answer.problem);
    if (answer.problem) showProblem(`${file.name}: ${answer.problem}`, answer.can_resample);
    else show(answer);
    $("state").textContent = answer.problem ? _("Nothing was stored.") : _("Checked. Nothing is stored yet.");
    main.dataset.state = answer.problem ? "refused" : "checked";
  } catch (error) {
    $("result").hidden = true;
    showProblem(error.message);
    $("state").textContent = "";
    main.dataset.state = "refused";
  }
}

function show(answer) {
  $("result-title").textContent = `${file.name}: ${answer.kind}`;
  $("notes").replaceChildren(...answer.notes.map((note) => make("li", { textContent: note })));
  mapping = Object.fromEntries(answer.numbers.map(({ number, label }) => [number, label]));
  $("mapping").replaceChildren(...answer.numbers.map(({ number, name, voxels, label }) => {
    const select = make("select", {}, make("option", { value: "", textContent: _("Choose") }), ...labels.map(([value, text]) => make("option", { value, textContent: text })), make("option", { value: "0", textContent: _("Leave out") }));
    select.value = label === null ? "" : String(label);
    select.setAttribute("aria-label", _("Label of %(number)s", { number: name ?? number }));
    select.addEventListener("change", () => {
      mapping[number] = select.value === "" ? null : Number(select.value);
      check();
    });
    return make("tr", {}, make("th", { scope: "row", textContent: name ? `${number} · ${name}` : String(number) }), make("td", { className: "num", textContent: voxels.toLocaleString() }), make("td", {}, select));
  }));
  $("after-mapping").hidden = !answer.labels;
  $("unusable").hidden = Boolean(answer.labels);
  $("unusable").textContent = answer.labels ? "" : (answer.unusable ?? _("Choose a label for every number of the file, or leave it out."));
  if (!answer.labels) return;
  const figure = (value) => (value === null ? "–" : value.toFixed(3));
  $("figures").replaceChildren(...answer.labels.map((label) =>
    make(
      "tr", {},
      make("th", { scope: "row", textContent: label.name }),
      ...[`${label.volume_ml.toFixed(1)} mL`, `${label.now_ml.toFixed(1)} mL`, figure(label.dice_now), figure(label.dice_ai)].map((text) => make("td", { className: "num", textContent: text })),
    ),
  ));
}

function choose(chosen) {
  if (!chosen) return;
  [file, mapping, isResampled] = [chosen, null, false];
  check();
}

async function take() {
  $("take").disabled = true;
  try {
    const { next } = await send("");
    location.assign(next);
  } catch (error) {
    showProblem(error.message);
    $("take").disabled = false;
  }
}

const drop = $("drop");
if (drop) {
  $("file").addEventListener("change", (event) => choose(event.target.files[0]));
  drop.addEventListener("submit", (event) => event.preventDefault());
  for (const type of ["dragenter", "dragover"]) {
    addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  addEventListener("dragleave", (event) => event.relatedTarget === null && drop.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    choose(event.dataTransfer.files[0]);
  });
  $("resample").querySelector("button").addEventListener("click", () => {
    isResampled = true;
    mapping = null;
    check();
  });
  $("take").addEventListener("click", take);
}
