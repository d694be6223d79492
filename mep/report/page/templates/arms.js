"use strict";
// Contents that follow the scroll, arms that are highlighted and renamed, metrics that are chosen, tables as CSV.
const DATA = JSON.parse(document.getElementById("data").textContent);
const names = Object.fromEntries(DATA.arms.map(arm => [arm.label, arm.label]));
const styleOf = Object.fromEntries(DATA.arms.map(arm => [arm.label, arm.style % DATA.styles.length]));
let highlighted = null;
const redraws = [];  // what draws a chart again, after a name, a size or a choice has changed
const redraw = () => redraws.forEach(draw => draw());
// A curve may be named after several arms: "a and b".
const shownName = text => names[text] ?? text;

function saveFile(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
const csvCell = value => {
  let text = value == null ? "" : String(value);
  if (typeof value === "string" && /^[=+\-@\t]/.test(text)) text = "'" + text;  // a spreadsheet would run it
  return /[",\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
};
const csvText = rows => rows.map(row => row.map(csvCell).join(",")).join("\n") + "\n";
const fileName = ending => (document.title.split(": ").pop() + "-" + ending).replace(/[^\w.-]+/g, "_");

// ---- contents
{
  const links = [...document.querySelectorAll("nav a")];
  const sections = links.map(link => document.getElementById(link.hash.slice(1)));
  const follow = () => {
    const line = innerHeight * 0.3;
    let at = 0;
    sections.forEach((section, place) => { if (section && section.getBoundingClientRect().top <= line) at = place; });
    if (innerHeight + scrollY >= document.documentElement.scrollHeight - 2) at = links.length - 1;
    links.forEach((link, place) => place === at ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current"));
    const nav = links[at].parentElement;
    if (nav.scrollWidth > nav.clientWidth) nav.scrollLeft = links[at].offsetLeft - nav.clientWidth / 3;
  };
  let waiting = false;
  addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(() => { waiting = false; follow(); });
    waiting = true;
  }, { passive: true });
  follow();
}

// ---- arms
const kept = "mep-names-" + document.title;
const keep = {
  read() { try { return JSON.parse(localStorage.getItem(kept)) ?? {}; } catch { return {}; } },
  write() { try { localStorage.setItem(kept, JSON.stringify(names)); } catch { /* a page from a mail keeps nothing */ } },
};
function rename(label, name) {
  names[label] = name.trim() || label;
  for (const one of document.querySelectorAll(".arm[data-name]")) {
    if (one.dataset.name === label) one.querySelector("bdi").textContent = names[label];
  }
}
function highlight(label) {
  highlighted = highlighted === label ? null : label;
  const style = String(styleOf[highlighted] ?? "");
  for (const button of document.querySelectorAll("[data-highlight]")) {
    button.setAttribute("aria-pressed", String(button.dataset.highlight === highlighted));
  }
  for (const one of document.querySelectorAll("[data-arms], [data-arm]")) {
    const own = (one.dataset.arms ?? one.dataset.arm).trim().split(/\s+/);
    one.classList.toggle("dimmed", highlighted !== null && !own.includes(style));
    one.classList.toggle("lit", highlighted !== null && own.includes(style));
  }
  redraw();
}
for (const panel of document.querySelectorAll(".arms-panel")) panel.hidden = false;
for (const button of document.querySelectorAll("[data-highlight]")) {
  button.addEventListener("click", () => highlight(button.dataset.highlight));
}
for (const input of document.querySelectorAll("[data-rename]")) {
  input.addEventListener("input", () => { rename(input.dataset.rename, input.value); keep.write(); redraw(); });
}
for (const [label, name] of Object.entries(keep.read())) {
  if (label in names && name !== label) {
    rename(label, name);
    for (const input of document.querySelectorAll("[data-rename]")) if (input.dataset.rename === label) input.value = name;
  }
}

// ---- metrics
const chosen = () => new Set([...document.querySelectorAll("[data-choose]:checked")].map(one => one.dataset.choose));
function choose() {
  const shown = chosen();
  for (const row of document.querySelectorAll("tr[data-metric]")) row.hidden = !shown.has(row.dataset.metric);
  for (const body of document.querySelectorAll("tbody[data-group]")) {
    body.hidden = ![...body.rows].some(row => row.dataset.metric && !row.hidden);
  }
  redraw();
}
for (const box of document.querySelectorAll("[data-choose]")) box.addEventListener("change", choose);
document.getElementById("chooser-find")?.addEventListener("input", event => {
  const text = event.target.value.toLowerCase();
  for (const label of document.querySelectorAll("#chooser label:has([data-choose])")) {
    label.hidden = !label.textContent.toLowerCase().includes(text);
  }
});
document.querySelector("[data-save-table]")?.addEventListener("click", () => {
  const rows = [["metric", "arm", "value", "se", "difference", "low", "high", "p"]], shown = chosen();
  for (const row of DATA.rows.filter(row => shown.has(row.id))) {
    for (const [arm, number] of Object.entries(row.arms)) {
      const delta = row.differences[arm] ?? {};
      rows.push([row.id, names[arm], number.value, number.se, delta.value, delta.low, delta.high, delta.p]);
    }
    for (const [title, number] of Object.entries(row.references)) rows.push([row.id, title, number.value, number.se]);
  }
  saveFile(fileName("comparison.csv"), "text/csv", csvText(rows));
});
choose();
