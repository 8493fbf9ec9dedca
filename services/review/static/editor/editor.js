// The editor: loads images and masks, lets somebody draw, saves versions, and hands in.
import { _ } from "../../i18n.js";
import { Pane } from "../../viewer/pane.js";
import { Stack } from "../../viewer/geometry.js";
import { loadImages, loadLabels } from "../../viewer/loading.js";
import { initPane, initTrack } from "../../viewer/pointer.js";
import { Desk } from "./desk.js";
import { Figures } from "./figures.js";
import { hintsOf, lesionsHint } from "./hints.js";
import { initKeys } from "./keys.js";
import { Labels } from "./labels.js";
import { EditPane } from "./pane.js";
import { initDrawing } from "./pointer.js";
import { spread } from "./regions.js";
import { Saving } from "./saving.js";
import { Sidebar } from "./sidebar.js";
import { Tools } from "./tools.js";

const main = document.getElementById("main");
const given = JSON.parse(main.dataset.desk);
const message = document.getElementById("message");
const said = document.getElementById("said");
const complaint = document.getElementById("complaint");
const $ = (id) => document.getElementById(id);

const AIR_HU = -30;
const BONE_HU = 250;
const HINT_PAUSE_MS = 700;

let desk = null;
let tools = null;
let saving = null;
let sidebar = null;
let figures = null;
let track = null;
let compared = ""; // name of the mask compared with
let brain = null; // voxels of the brain on an MR series, once they are known
let placing = false; // a comment waits for its place
const comments = given.comments;

function say(text) {
  said.textContent = text;
}

function complain(text, { mayTakeOver = false } = {}) {
  complaint.querySelector("span").textContent = text ?? "";
  $("take-over").hidden = !mayTakeOver;
  complaint.hidden = !text;
  if (text) say(text);
}

function showMessage(title, text) {
  message.replaceChildren(...[title, text].map((content, n) => Object.assign(document.createElement("p"), { textContent: content, className: n ? "" : "strong" })));
  message.hidden = false;
}

// ---- masks ----------------------------------------------------------------------------------------------------------

async function whole(digest, stack) {
  const voxels = new Uint8Array(stack.slices * stack.rows * stack.columns);
  if (!digest) return voxels;
  const { slices, voxels: planes } = await loadLabels(given.address, digest);
  const size = stack.rows * stack.columns;
  slices.forEach((k, n) => voxels.set(planes.subarray(n * size, (n + 1) * size), k * size));
  return voxels;
}

/** Compare with another mask; an empty digest compares with nothing. */
async function compare(digest) {
  const shown = given.shown.find((each) => each.digest === digest);
  desk.reference = digest ? await whole(digest, desk.stack) : null;
  compared = shown?.name ?? "";
  desk.panes.answer.parts.name.textContent = compared;
  figures = new Figures(desk.mask, desk.reference, desk.stack);
  if (!desk.reference && desk.beside === "answer") actions.beside();
  afterChange({ isEdit: false });
}

/** Everything that follows from a change: figures, slices on the track, other planes, a version soon, hints later. */
function afterChange({ isEdit = true, slices = null } = {}) {
  if (slices) figures.update(slices);
  sidebar.showFigures(figures, compared);
  desk.present = new Map();
  for (let k = 0; k < desk.stack.slices; k += 1) {
    const here = given.labels.map((label) => label.value).filter((value) => figures.shows(value, k) && !desk.hiddenLabels.has(value));
    if (here.length) desk.present.set(k, here);
  }
  track.mark(new Map(given.labels.map((label) => [label.value, label.name])));
  desk.settle();
  settleTools();
  if (isEdit) saving?.soon();
  clearTimeout(afterChange.timer);
  afterChange.timer = setTimeout(showHints, HINT_PAUSE_MS);
}

function ended({ changed, problem } = {}) {
  complain(problem);
  if (!changed) return desk.settle();
  saving?.tools.add(tools.tool);
  const { indices } = desk.mask.past.at(-1);
  afterChange({ slices: new Set(indices.map((index) => Math.floor(index / desk.mask.size))) });
}

function travel(way) {
  const slice = desk.mask[way]();
  if (slice === null) return complain(way === "undo" ? _("Nothing to undo.") : _("Nothing to redo."));
  complain("");
  const edit = (way === "undo" ? desk.mask.future : desk.mask.past).at(-1);
  desk.filmed = null;
  if (!edit.indices.some((index) => Math.floor(index / desk.mask.size) === desk.slice)) desk.goTo(slice);
  afterChange({ slices: new Set(edit.indices.map((index) => Math.floor(index / desk.mask.size))) });
}

// ---- hints ----------------------------------------------------------------------------------------------------------

const sequence = (role) => desk.sequences.find((each) => each.name === role);

/** What lies outside the brain: air and bone in CT, what the server says in MR; null as long as nobody knows. */
function outsideBrain() {
  if (desk.isCt) {
    const say = (values) => _("%(label)s: %(count)s voxels outside the brain (air or bone), most on slice %(slice)s", values);
    return { say, test: (index) => tools.value(index) < AIR_HU || tools.value(index) > BONE_HU };
  }
  const say = (values) => _("%(label)s: %(count)s voxels outside the brain, most on slice %(slice)s", values);
  return brain && { say, test: (index) => !brain[index] };
}

function showHints() {
  const { hints } = given;
  const outside = hints.outside_brain ? outsideBrain() : null;
  const adc = hints.highest_adc ? sequence("ADC") : null;
  const found = given.labels.flatMap((label) => {
    if (desk.hiddenLabels.has(label.value)) return [];
    const above = adc && hints.adc_labels.includes(label.name)
      ? { say: (values) => _("%(label)s: %(count)s voxels with ADC above %(limit)s, most on slice %(slice)s", { ...values, limit: hints.highest_adc }), test: (index) => adc.voxels[index] * adc.greys.slope + adc.greys.intercept > hints.highest_adc }
      : null;
    const own = hintsOf(desk.mask, label, { smallest: hints.smallest_voxels ?? 0, outside, above });
    return hints.skipped_slices ? own : own.filter((hint) => !hint.isGap);
  });
  if (hints.most_lesions) found.push(...lesionsHint(desk.mask, { most: hints.most_lesions, smallest: hints.smallest_voxels ?? 1 }));
  sidebar.showHints(found);
  main.dataset.hints = found.length;
}

// ---- actions --------------------------------------------------------------------------------------------------------

const BESIDE = ["planes", "sequences", "answer"];

function pickLabel(value) {
  tools.label = value;
  desk.trailColour = desk.palette.get(value);
  settleTools();
}

function blocked() {
  if (tools.isReadOnly) complain(_("This workitem is open for reading only."));
  else if (desk.mask.locked.has(tools.label)) complain(_("This label is locked. Unlock it to draw."));
  else return false;
  return true;
}

const actions = {
  slice: (step) => desk.goTo(desk.slice + step),
  tool: (tool) => {
    tools.reset();
    Object.assign(tools, { tool });
    desk.request();
    settleTools();
  },
  size: (factor) => {
    tools.sizeMm = Math.min(60, Math.max(0.5, tools.sizeMm * factor));
    settleTools();
  },
  toggle3d: () => {
    tools.is3d = !tools.is3d;
    settleTools();
  },
  toggleLimit: () => {
    tools.limit.isOn = !tools.limit.isOn;
    if (tools.limit.isOn && !Number.isFinite(tools.limit.low)) takeRange();
    settleTools();
  },
  label: (n) => given.labels[n - 1] && pickLabel(given.labels[n - 1].value),
  between: () => blocked() || ended(tools.between()),
  snap: () => {
    const adc = sequence("ADC");
    if (blocked()) return;
    if (!adc) return complain(_("There is no ADC map on these images yet."));
    ended(tools.snap(adc.voxels, adc.greys, given.hints.highest_adc));
  },
  difference: () => {
    if (!desk.reference) return complain(_("There is no mask to compare with."));
    desk.showsDifference = !desk.showsDifference;
    desk.request();
    settleTools();
  },
  reference: () => {
    if (!desk.reference) return complain(_("There is no mask to compare with."));
    desk.showsReference = !desk.showsReference;
    desk.request();
    settleTools();
  },
  hide: () => {
    desk.isHidden = !desk.isHidden;
    desk.restyle();
    settleTools();
  },
  filled: () => {
    desk.isFilled = !desk.isFilled;
    desk.restyle();
    settleTools();
  },
  beside: (wanted = null) => {
    const may = { planes: true, sequences: desk.sequences.length > 0, answer: desk.reference !== null };
    const next = BESIDE.slice(BESIDE.indexOf(desk.beside) + 1).concat(BESIDE).find((each) => may[each]);
    desk.beside = wanted && may[wanted] ? wanted : next;
    main.dataset.beside = desk.beside;
    desk.settle();
    settleTools();
  },
  nextChanged: (step) => {
    const slices = figures.changedSlices;
    if (!slices.length) return complain(_("No slice differs from the mask compared with."));
    const next = slices.find((k) => (step > 0 ? k > desk.slice : k < desk.slice)) ?? slices[0];
    desk.goTo(next);
  },
  window: (key) => desk.preset(key),
  zoom: (factor) => {
    desk.panes.slice.zoomBy(factor);
    desk.request();
  },
  reset: () => desk.reset(),
  undo: () => travel("undo"),
  redo: () => travel("redo"),
  close: () => desk.trail.length > 2 && ended({ changed: tools.close() }),
  clear: () => {
    if (blocked()) return;
    ended({ changed: desk.mask.change(() => desk.mask.slice(desk.slice).forEach((value, i) => value === tools.label && desk.mask.set(desk.slice * desk.mask.size + i, 0))) });
  },
  escape: () => {
    if (placing) return setPlacing(false);
    tools.reset();
    desk.request();
    complain("");
  },
  comment: () => given.slot && setPlacing(!placing),
  submit: () => submit(),
};

/** The range of what is marked, or of what fits the label, as a start. */
function takeRange() {
  const { voxels } = desk.mask;
  const places = [];
  for (let i = 0; i < voxels.length; i += 1) if (voxels[i] === tools.label) places.push(i);
  if (places.length) {
    const { mean, sd } = spread(desk.voxels, places);
    const { slope, intercept } = desk.greys;
    Object.assign(tools.limit, { low: Math.round((mean - 2 * sd) * slope + intercept), high: Math.round((mean + 2 * sd) * slope + intercept) });
  } else {
    const { width, level } = desk.window;
    Object.assign(tools.limit, { low: Math.round(level - width / 8), high: Math.round(level + width / 2) });
  }
}

// ---- comments -------------------------------------------------------------------------------------------------------

function setPlacing(isOn) {
  placing = isOn;
  main.classList.toggle("placing", isOn);
  $("place-comment").setAttribute("aria-pressed", isOn);
  complain(isOn ? "" : null);
  if (isOn) say(_("Click the place in the image that the comment is about."));
}

function placeComment([x, y]) {
  setPlacing(false);
  const form = $("comment-form");
  form.dataset.voxel = JSON.stringify([desk.slice, Math.round(y), Math.round(x)]);
  $("comment-place").textContent = _("Slice %(slice)s, column %(column)s, row %(row)s", { slice: desk.slice + 1, column: Math.round(x), row: Math.round(y) });
  form.hidden = false;
  $("comment-text").focus();
}

function showComments() {
  desk.pins = comments.flatMap((comment, n) =>
    comment.voxel ? [{ slice: comment.voxel[0], row: comment.voxel[1], column: comment.voxel[2], isDoubtful: comment.doubtful, number: n + 1 }] : [],
  );
  sidebar.showComments(comments, (comment) => {
    const [slice, row, column] = comment.voxel;
    const { positions, row: right, column: down, rowStep, columnStep } = desk.stack;
    desk.goTo(slice, positions[slice].map((value, axis) => value + right[axis] * column * columnStep + down[axis] * row * rowStep));
  });
  desk.request();
}

async function post(address, options) {
  let response;
  try {
    response = await fetch(`${given.address}/${address}`, { method: "POST", ...options, headers: { "x-nightjar-live": "1", ...options.headers } });
  } catch {
    throw new Error(_("Not stored: the connection is lost. Try again."));
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(typeof answer.detail === "string" ? answer.detail : _("The server refused this."));
  return answer;
}

async function sendComment(event) {
  event.preventDefault();
  const form = event.target;
  const comment = { text: $("comment-text").value, doubtful: $("comment-doubtful").checked, voxel: form.dataset.voxel ? JSON.parse(form.dataset.voxel) : null };
  try {
    const answer = await post("comments", { body: JSON.stringify(comment), headers: { "content-type": "application/json" } });
    comments.push({ ...comment, ...answer });
    form.reset();
    delete form.dataset.voxel;
    form.hidden = true;
    complain("");
    showComments();
    say(_("Comment stored."));
  } catch (error) {
    complain(error.message);
  }
}

// ---- handing in -----------------------------------------------------------------------------------------------------

async function submit() {
  if (tools.isReadOnly || $("submit")?.disabled || !(await isGraded())) return;
  $("submit").disabled = true;
  try {
    const answer = await saving.save({ submit: true });
    tools.isReadOnly = true;
    main.dataset.state = "submitted";
    showMessage(answer.unchanged ? _("Accepted unchanged") : _("Handed in"), _("Your version is stored and can no longer be changed by you."));
    $("after").hidden = false;
    $("after").querySelector("a").focus();
    settleTools();
  } catch (error) {
    if (!saving.isStale) complain(error.message);
    settleTools();
  }
}

/** Whether the images are graded, now or before; nothing is handed in without. */
async function isGraded() {
  const grade = $("grade");
  if (!grade || grade.hidden) return true;
  if (grade.reportValidity()) return (await sendGrade()) === "graded";
  complain(_("Grade the image quality first, then hand in."));
  return false;
}

async function sendGrade() {
  const form = $("grade");
  try {
    const { state } = await post("grade", { body: new URLSearchParams(new FormData(form)) });
    if (state === "excluded") {
      tools.isReadOnly = true;
      saving.isStopped = true;
      showMessage(_("Excluded"), _("The images were graded below the limit of this task. The workitem keeps the reason."));
      $("after").hidden = false;
      return "excluded";
    }
    form.hidden = true;
    return "graded";
  } catch (error) {
    complain(error.message);
    return "refused";
  }
}

async function decide(event) {
  event.preventDefault();
  const button = event.submitter;
  try {
    if (saving?.isDirty) await saving.save();
    // A mask of the reviewer's own, of this or an earlier opening of the page, takes the place of what stands.
    if (button.value === "accepted" && saving && saving.base !== given.standing) {
      if (!(await isGraded())) return;
      await saving.save({ submit: true });
    }
    const body = new URLSearchParams(new FormData(event.target, button));
    await post("decision", { body });
    tools.isReadOnly = true;
    if (saving) saving.isStopped = true;
    main.dataset.state = "submitted";
    showMessage(button.dataset.done, _("The decision is stored."));
    $("after").hidden = false;
  } catch (error) {
    complain(error.message);
  }
}

// ---- the page -------------------------------------------------------------------------------------------------------

function settleTools() {
  for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === tools.tool);
  const pressed = { toggle3d: tools.is3d, toggleLimit: tools.limit.isOn, difference: desk.showsDifference, reference: desk.showsReference, hide: desk.isHidden, filled: desk.isFilled };
  for (const [action, isOn] of Object.entries(pressed)) document.querySelector(`[data-do="${action}"]`)?.setAttribute("aria-pressed", isOn);
  for (const button of document.querySelectorAll("button[data-beside]")) button.setAttribute("aria-pressed", button.dataset.beside === desk.beside);
  for (const button of document.querySelectorAll("[data-preset]")) button.setAttribute("aria-pressed", desk.isCt ? button.firstChild.textContent.trim() === desk.window.name : button.dataset.preset === "1" && desk.window.name !== "");
  if (document.activeElement !== $("size")) $("size").value = tools.sizeMm;
  $("size-mm").textContent = `${tools.sizeMm < 10 ? tools.sizeMm.toFixed(1) : Math.round(tools.sizeMm)} mm`;
  for (const end of ["low", "high"]) {
    if (document.activeElement !== $(end)) $(end).value = Number.isFinite(tools.limit[end]) ? tools.limit[end] : "";
    $(end).disabled = !tools.limit.isOn;
  }
  document.querySelector('[data-do="undo"]').disabled = !desk.mask.past.length;
  document.querySelector('[data-do="redo"]').disabled = !desk.mask.future.length;
  const unchanged = given.slot && given.base === given.answer && given.answer && !desk.mask.past.length;
  const button = $("submit");
  if (button) button.disabled = tools.isReadOnly;
  if (button) button.firstChild.textContent = `${unchanged ? _("Accept unchanged") : _("Submit")} `;
  sidebar.showLabels({ current: tools.label, hidden: desk.hiddenLabels, locked: desk.mask.locked });
  main.classList.toggle("read-only", tools.isReadOnly);
}

function setSaveState(state, words) {
  const place = $("save");
  place.dataset.state = state;
  place.textContent = state === "stopped" ? _("Not saved") : words;
  if (state === "stopped") {
    tools.isReadOnly = true;
    complain(words, { mayTakeOver: saving.isStale });
    settleTools();
  }
}

async function takeOver() {
  tools.isReadOnly = false;
  complain("");
  settleTools();
  await saving.takeOver().catch(() => {});
}

async function loadBeside() {
  const template = $("sequence");
  for (const { key, role } of given.beside) {
    const element = template.content.firstElementChild.cloneNode(true);
    element.querySelector("[data-part=name]").textContent = role;
    element.querySelector("canvas").setAttribute("aria-label", role);
    $("sequences").append(element);
    try {
      const { geometry, voxels } = await loadImages(`${given.address}/series/${key}`);
      element.querySelector(".waiting")?.remove();
      desk.addSequence({ element, name: role, voxels, geometry });
      initPane(desk.sequences.at(-1).pane, "slice", desk.viewOf(desk.sequences.at(-1)));
      if (desk.sequences.length === 1 && !desk.isCt) actions.beside("sequences");
      settleTools();
    } catch (error) {
      element.querySelector(".waiting").textContent = error.message;
    }
  }
  main.dataset.beside = desk.beside;
  // Without it the hint is not given; everything else goes on.
  if (!desk.isCt && given.hints.outside_brain) brain = await whole("brain", desk.stack).catch(() => null);
  showHints();
}

function wire() {
  main.addEventListener("click", (event) => {
    const target = event.target.closest("[data-do], [data-tool], button[data-beside]");
    if (!target || target.disabled) return;
    if (target.dataset.tool) actions.tool(target.dataset.tool);
    else if (target.dataset.beside) actions.beside(target.dataset.beside);
    else actions[target.dataset.do](target.dataset.preset);
  });
  $("size").addEventListener("input", (event) => {
    tools.sizeMm = Number(event.target.value);
    settleTools();
  });
  for (const end of ["low", "high"]) {
    $(end).addEventListener("change", (event) => {
      tools.limit[end] = event.target.value === "" ? (end === "low" ? -Infinity : Infinity) : Number(event.target.value);
    });
  }
  $("take-range").addEventListener("click", () => {
    tools.limit.isOn = true;
    takeRange();
    settleTools();
  });
  $("compare")?.addEventListener("change", (event) => compare(event.target.value).catch((error) => complain(error.message)));
  $("place-comment")?.addEventListener("click", () => actions.comment());
  $("comment-form").addEventListener("submit", sendComment);
  $("comment-cancel").addEventListener("click", () => ($("comment-form").hidden = true));
  $("decision")?.addEventListener("submit", decide);
  $("take-over").addEventListener("click", takeOver);
  $("submit")?.addEventListener("click", submit);
}

function makeDesk(stack, voxels, geometry, drawn) {
  const panes = Object.fromEntries([...document.querySelectorAll("[data-pane]")].map((element) => {
    const isMain = ["slice", "answer"].includes(element.dataset.pane);
    return [element.dataset.pane, isMain ? new EditPane(element) : new Pane(element)];
  }));
  const labels = new Labels(stack, drawn);
  const first = labels.voxels.findIndex((value) => value);
  const last = labels.voxels.findLastIndex((value) => value);
  const middle = first < 0 ? Math.floor(stack.slices / 2) : Math.floor((first + last) / 2 / labels.size);
  desk = new Desk(panes, { stack, voxels, geometry }, middle, labels);
  desk.setPalette(new Map(given.labels.map((label) => [label.value, label.colour])));
  tools = new Tools(desk);
  tools.isReadOnly = !given.mayDraw;
}

async function start() {
  try {
    const { geometry, voxels } = await loadImages(`${given.address}/series/${given.series}`);
    const stack = new Stack(geometry);
    const base = given.base ?? (given.mayDraw ? null : given.shown.at(-1)?.digest);
    makeDesk(stack, voxels, geometry, await whole(base, stack));
    figures = new Figures(desk.mask, null, stack);
    track = initTrack($("track"), desk);
    const { panes } = desk;
    initPane(panes.along, "along", desk);
    initPane(panes.across, "across", desk);
    initPane(panes.answer, "slice", desk);
    const act = { ended, size: actions.size, place: placeComment, isPlacing: () => placing };
    initDrawing(panes.slice, desk, tools, act);
    const press = tools.press.bind(tools);
    tools.press = (at, how) => (desk.mask.locked.has(tools.label) && !how.isErasing && tools.tool !== "eraser" ? (blocked(), null) : press(at, how));
    sidebar = new Sidebar({
      labels: given.labels,
      onlabel: pickLabel,
      onshow: (value) => {
        if (!desk.hiddenLabels.delete(value)) desk.hiddenLabels.add(value);
        desk.restyle();
        afterChange({ isEdit: false });
      },
      onlock: (value) => {
        if (!desk.mask.locked.delete(value)) desk.mask.locked.add(value);
        settleTools();
      },
      onslice: (k) => desk.goTo(k),
    });
    if (given.mayDraw) saving = new Saving(given.address, desk.mask, given.base ?? "", setSaveState);
    const commonest = given.labels.reduce((best, label) => (figures.of(label.value).ml > figures.of(best.value).ml ? label : best));
    tools.label = commonest.value;
    desk.trailColour = commonest.colour;
    desk.ondraw = () => track.update();
    if (!desk.isCt) for (const button of document.querySelectorAll('[data-preset]:not([data-preset="1"])')) button.hidden = true;
    if (!desk.isCt) document.querySelector('[data-preset="1"]').firstChild.textContent = `${_("As opened")} `;
    wire();
    initKeys({ actions, desk: () => desk });
    main.dataset.beside = desk.beside;
    showComments();
    desk.draw();
    message.hidden = true;
    performance.mark("nightjar:ready");
    await compare($("compare")?.value || "");
    main.dataset.state = "ready";
    loadBeside();
  } catch (error) {
    main.dataset.state = "failed";
    showMessage(_("The editor cannot open"), error.message);
  }
}

main.desk = () => ({ desk, tools, saving, figures, actions, ended }); // for measurements
start();
