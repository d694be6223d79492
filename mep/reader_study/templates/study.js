"use strict";
const study = document.body.dataset.study;
const images = JSON.parse(document.getElementById("images").textContent);
const types = JSON.parse(document.getElementById("types").textContent);
const examples = JSON.parse(document.getElementById("examples").textContent);
const $ = id => document.getElementById(id);
const state = { reader: "", order: [], at: 0, answers: {}, seconds: {}, zoom: 0, blocks: false };
let shownAt = 0;

// Every reader gets an order of their own, the same whenever the page is opened again.
function hash(text) {
  let h = 2166136261;
  for (const c of text) h = Math.imul(h ^ c.codePointAt(0), 16777619);
  return h >>> 0;
}
function shuffled(n, seed) {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    seed = (seed + 0x6d2b79f5) >>> 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    const j = Math.floor(((t ^ (t >>> 14)) >>> 0) / 4294967296 * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
// An image that comes twice comes with at least a quarter of the others in between, where there is room.
function keptApart(order) {
  const apart = Math.floor(order.length / 4), places = new Map();
  for (let place = 0; place < order.length; place++) {
    const first = places.get(images[order[place]]);
    if (first === undefined) { places.set(images[order[place]], place); continue; }
    if (place - first >= apart) continue;
    const free = place => place - first >= apart && places.get(images[order[place]]) === undefined;
    for (let later = order.length - 1; later > place; later--) {
      if (!free(later) || order.indexOf(order[later]) !== later) continue;
      [order[place], order[later]] = [order[later], order[place]];
      places.set(images[order[place]], place);
      break;
    }
  }
  return order;
}

// A browser may refuse storage to local files; answers then last as long as the page is open.
const slot = reader => `reader-study/2/${study}/${reader}`;
function stored(reader) {
  try { return JSON.parse(localStorage.getItem(slot(reader))); } catch { return null; }
}
function keep() {
  const { at, answers, seconds, zoom, blocks } = state;
  try { localStorage.setItem(slot(state.reader), JSON.stringify({ at, answers, seconds, zoom, blocks })); } catch { }
}

function screen(name) {
  for (const one of document.querySelectorAll(".screen")) one.hidden = one.id !== name;
}
const item = () => state.order[state.at];
const isWhole = one => Boolean(one && one.answer && one.confidence && (one.type || !types.length));
const answered = () => state.order.filter(one => isWhole(state.answers[one])).length;

function countTime() {
  if (!shownAt) return;
  state.seconds[item()] = (state.seconds[item()] || 0) + (Date.now() - shownAt) / 1000;
  shownAt = 0;
}

function show(place) {
  countTime();
  state.at = Math.max(0, Math.min(place, images.length - 1));
  screen("reading");
  $("image").src = images[item()];
  $("image").alt = `Image ${state.at + 1} of ${images.length}`;
  $("place").textContent = `${state.at + 1} of ${images.length}`;
  $("bar").style.width = `${100 * answered() / images.length}%`;
  press();
  $("back").disabled = state.at === 0;
  $("next").disabled = state.at === images.length - 1;
  shownAt = Date.now();
  keep();
  fit();
}

// As large as fits and the reader likes: small images at a whole multiple of their size, all of them at the same.
function fit() {
  const side = $("image").naturalWidth;
  if (!side) return;
  const room = Math.min($("stage").clientWidth, $("stage").clientHeight) - 24;
  const whole = Math.floor(room / side);
  const base = whole >= 1 ? Math.min(whole, Math.max(1, Math.round(400 / side))) : room / side;
  const scale = Math.max(base * 2 ** state.zoom, 0.25);
  $("image").style.width = `${side * scale}px`;
  $("image").classList.toggle("blocks", state.blocks);
  $("pixels").setAttribute("aria-pressed", state.blocks);
  $("scale").textContent = `${Math.round(100 * scale)} %`;
}

// What is chosen for this image, and which of its questions is open.
function press() {
  const given = state.answers[item()] || {};
  for (const answer of ["real", "synthetic"]) $(answer).setAttribute("aria-pressed", given.answer === answer);
  for (const button of document.querySelectorAll("[data-confidence]")) {
    button.setAttribute("aria-pressed", given.confidence === Number(button.dataset.confidence));
    button.disabled = !given.answer;
  }
  for (const button of document.querySelectorAll("[data-type]")) {
    button.setAttribute("aria-pressed", given.type === button.dataset.type);
    button.disabled = !given.confidence;
  }
}

// Another answer asks anew how sure it is.
function give(part) {
  const before = state.answers[item()] || {};
  if (!part.answer && !before.answer) return;
  state.answers[item()] = part.answer ? { ...part } : { ...before, ...part };
  if (!isWhole(state.answers[item()])) { keep(); return press(); }
  if (answered() === images.length || state.at === images.length - 1) return finish();
  show(state.at + 1);
}
function digit(number) {
  const given = state.answers[item()] || {};
  if (given.answer && (!given.confidence || !types.length)) { if (number <= 5) give({ confidence: number }); }
  else if (given.confidence && types[number - 1]) give({ type: types[number - 1] });
}

function finish() {
  countTime();
  keep();
  const open = state.order.map((one, place) => [one, place]).filter(([one]) => !isWhole(state.answers[one]));
  $("summary").textContent = open.length
    ? `${open.length} of ${images.length} images have no answer yet`
    : `All ${images.length} images are answered. Thank you!`;
  $("open").replaceChildren(...open.map(([, place]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = place + 1;
    button.setAttribute("aria-label", `go to image ${place + 1}`);
    button.onclick = () => show(place);
    return button;
  }));
  $("text").value = sheet();
  $("saved").textContent = "";
  screen("end");
  $("save").focus();
}

function sheet() {
  const quoted = text => `"${text.replaceAll('"', '""')}"`;
  const rows = state.order.map((one, place) => {
    const { answer = "", confidence = "", type = "" } = state.answers[one] || {};
    const seconds = (state.seconds[one] || 0).toFixed(1);
    return [study, quoted(state.reader), one + 1, place + 1, answer, confidence, quoted(type), seconds];
  });
  return [["study", "reader", "item", "position", "answer", "confidence", "type", "seconds"], ...rows].map(row => row.join(",")).join("\n") + "\n";
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([sheet()], { type: "text/csv" }));
  link.download = `answers-${study}-${state.reader.replace(/[^\p{L}\p{N}-]+/gu, "-") || "reader"}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  $("saved").textContent = `Saved as ${link.download}, in the folder for downloads.`;
}

$("who").onsubmit = event => {
  event.preventDefault();
  state.reader = $("reader").value.trim();
  if (!state.reader) return;
  Object.assign(state, { at: 0, answers: {}, seconds: {}, zoom: 0, blocks: false }, stored(state.reader) || {});
  state.order = keptApart(shuffled(images.length, hash(study + "/" + state.reader)));
  show(state.at);
};
$("reader").oninput = () => {
  const known = stored($("reader").value.trim());
  const n = known ? Object.values(known.answers).filter(isWhole).length : 0;
  $("known").textContent = n ? `You go on where you stopped: ${n} of ${images.length} answered.` : "";
};
$("real").onclick = () => give({ answer: "real" });
$("synthetic").onclick = () => give({ answer: "synthetic" });
for (const button of document.querySelectorAll("[data-confidence]")) {
  button.onclick = () => give({ confidence: Number(button.dataset.confidence) });
}
for (const [place, type] of types.entries()) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "step", textContent: ` ${type}` });
  button.prepend(Object.assign(document.createElement("kbd"), { textContent: place + 1 }));
  const shown = (examples[type] || []).map(uri => Object.assign(document.createElement("img"), { src: uri, alt: "" }));
  button.prepend(...shown.slice(0, 2));
  button.dataset.type = type;
  button.onclick = () => give({ type });
  $("types-asked").append(button);
  if (!shown.length) continue;
  const figure = document.createElement("figure"), caption = document.createElement("figcaption");
  caption.textContent = type;
  figure.append(caption, ...shown.map(one => Object.assign(one.cloneNode(), { alt: `real image of ${type}` })));
  $("learn-types").append(figure);
  $("learn").hidden = false;
  $("types-asked").classList.add("by-example");
}
$("back").onclick = () => show(state.at - 1);
$("next").onclick = () => show(state.at + 1);
$("finish").onclick = finish;
$("again").onclick = () => show(state.at);
$("save").onclick = save;
const zoom = step => { state.zoom = Math.max(-3, Math.min(4, state.zoom + step)); fit(); keep(); };
$("larger").onclick = () => zoom(1);
$("smaller").onclick = () => zoom(-1);
$("pixels").onclick = () => { state.blocks = !state.blocks; fit(); keep(); };
$("image").onload = fit;
addEventListener("resize", fit);
document.addEventListener("visibilitychange", () => {
  if ($("reading").hidden) return;
  if (document.hidden) countTime(); else shownAt = Date.now();
});
addEventListener("keydown", event => {
  if ($("reading").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = {
    r: () => give({ answer: "real" }), s: () => give({ answer: "synthetic" }), ArrowLeft: () => $("back").click(), ArrowRight: () => $("next").click(),
    p: () => $("pixels").click(), "+": () => zoom(1), "=": () => zoom(1), "-": () => zoom(-1),
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (/^[1-9]$/.test(event.key) && !event.repeat) return digit(Number(event.key));
  if (!act || event.repeat) return;
  event.preventDefault();
  act();
});
screen("start");
$("reader").focus();
