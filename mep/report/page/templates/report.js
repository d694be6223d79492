"use strict";
// Sorting, tooltips under the mouse and the map. Everything on the page but its charts is there without scripts.
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("button.sort").forEach(button => button.addEventListener("click", () => {
    const head = button.closest("th"), column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("th[aria-sort]").forEach(one => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = row => row.cells[column].dataset.sort ?? "";
    const order = (a, b) => {
      const x = value(a), y = value(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const numbers = !isNaN(x) && !isNaN(y);
      return (up ? 1 : -1) * (numbers ? x - y : x.localeCompare(y));
    };
    for (const body of table.tBodies) {  // within each group; its title stays on top
      body.append(...[...body.rows].filter(row => !row.classList.contains("group")).sort(order));
    }
  }));
}
for (const button of document.querySelectorAll("button.info")) {
  const tip = document.getElementById(button.getAttribute("popovertarget"));
  const place = () => {
    const box = button.getBoundingClientRect();
    tip.style.margin = "0";
    tip.style.position = "fixed";
    tip.style.left = Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = (box.bottom + tip.offsetHeight + 8 < innerHeight ? box.bottom + 4 : Math.max(8, box.top - tip.offsetHeight - 4)) + "px";
  };
  tip.addEventListener("toggle", event => event.newState === "open" && place());
  let hovered = false;
  button.addEventListener("mouseenter", () => { if (!tip.matches(":popover-open")) { hovered = true; tip.showPopover(); } });
  button.addEventListener("mouseleave", () => { if (hovered) { hovered = false; tip.hidePopover(); } });
  button.addEventListener("click", () => { hovered = false; });
}
for (const map of document.querySelectorAll(".map")) {
  const svg = map.querySelector("svg"), dots = [...svg.querySelectorAll("circle")];
  const clusters = [...new Set(dots.map(dot => dot.dataset.cluster).filter(Boolean))].sort((a, b) => a - b);
  // Hues a golden angle apart, in three lightnesses: no two clusters of a map have one colour.
  const colourOf = cluster => `hsl(${(clusters.indexOf(cluster) * 137.5) % 360} 65% ${[46, 62, 34][clusters.indexOf(cluster) % 3]}%)`;
  map.querySelector("[data-legend=cluster]")?.append(...clusters.map(cluster => {
    const item = document.createElement("li"), swatch = document.createElement("i");
    swatch.className = "swatch";
    swatch.style.setProperty("--c", colourOf(cluster));
    item.append(swatch, `cluster ${cluster}, ${dots.filter(dot => dot.dataset.cluster === cluster).length}`);
    return item;
  }));
  const thumb = map.querySelector(".thumb"), told = map.querySelector(".told");
  const across = +map.dataset.across, shown = 120;
  let at = -1;
  const show = place => {
    if (at >= 0) dots[at].classList.remove("on");
    at = place;
    const dot = dots[at];
    dot.classList.add("on");
    if (thumb) {
      const rows = Math.ceil(dots.length / across);
      thumb.style.backgroundSize = across * shown + "px " + rows * shown + "px";
      thumb.style.backgroundPosition = -(at % across) * shown + "px " + -Math.floor(at / across) * shown + "px";
    }
    told.textContent = dot.querySelector("title").textContent;
  };
  svg.addEventListener("mousemove", event => {
    const place = dots.indexOf(event.target.closest("circle"));
    if (place >= 0) show(place);
  });
  svg.addEventListener("keydown", event => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    if (at < 0) return show(0);
    const where = dot => [+dot.getAttribute("cx"), +dot.getAttribute("cy")], from = where(dots[at]);
    let best = -1, least = Infinity;
    dots.forEach((dot, place) => {
      const [x, y] = where(dot), dx = x - from[0], dy = y - from[1];
      const along = dx * step[0] + dy * step[1], aside = Math.abs(dx * step[1]) + Math.abs(dy * step[0]);
      if (along > 0 && along + 2 * aside < least) { least = along + 2 * aside; best = place; }
    });
    if (best >= 0) show(best);
  });
  map.querySelectorAll("input[name^=by]").forEach(input => input.addEventListener("change", () => {
    map.dataset.by = input.value;
    for (const dot of dots) {
      const number = input.value === "set" ? dot.dataset.set : dot.dataset[input.value];
      const byCluster = input.value === "cluster" && number;
      dot.setAttribute("class", !number ? "real" : byCluster ? "" : "c" + number);
      dot.style.setProperty("--c", byCluster ? colourOf(number) : "");
    }
    if (at >= 0) dots[at].classList.add("on");
    map.querySelectorAll("[data-legend]").forEach(one => { one.hidden = one.dataset.legend !== input.value; });
  }));
  map.querySelectorAll("input[name^=axes]").forEach(input => input.addEventListener("change", () => {
    for (const dot of dots) {
      const [x, y] = dot.dataset[input.value.toLowerCase()].split(" ");
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
    }
    map.querySelectorAll("[data-axes]").forEach(one => { one.hidden = one.dataset.axes !== input.value; });
  }));
}
