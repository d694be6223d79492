"use strict";
// Runs are found by what stands in them, and two or more are opened side by side.
const boxes = [...document.querySelectorAll("[data-page]")], open = document.getElementById("open-beside");
const chosen = () => boxes.filter(box => box.checked);
function tell() {
  const n = chosen().length;
  open.disabled = n < 2;
  document.getElementById("chosen").textContent = n ? `${n} chosen.` : "Choose two runs or more.";
}
boxes.forEach(box => box.addEventListener("change", tell));
document.getElementById("find").addEventListener("input", event => {
  const text = event.target.value.toLowerCase();
  for (const run of document.querySelectorAll("[data-run]")) run.hidden = !run.textContent.toLowerCase().includes(text);
});
function beside(pages) {
  document.getElementById("beside")?.remove();
  if (pages.length < 2) return;
  const all = document.createElement("div"), bar = document.createElement("div"), panes = document.createElement("div"), close = document.createElement("button");
  all.id = "beside";
  bar.className = "bar";
  panes.className = "panes";
  close.type = "button";
  close.className = "tool";
  close.textContent = "Back to the list";
  close.addEventListener("click", () => { location.hash = ""; });
  bar.append(close);
  for (const page of pages) {
    const frame = document.createElement("iframe");
    frame.src = page;
    frame.title = decodeURIComponent(page);
    panes.append(frame);
  }
  all.append(bar, panes);
  document.body.append(all);
  close.focus();
}
// Only pages of this list are opened, whatever the address says.
const known = new Set(boxes.map(box => box.dataset.page));
const fromAddress = () => beside(location.hash.slice(1).split(",").filter(page => known.has(page)));
open.addEventListener("click", () => { location.hash = chosen().map(box => box.dataset.page).join(","); });
addEventListener("hashchange", fromAddress);
addEventListener("pageshow", tell);
fromAddress();
