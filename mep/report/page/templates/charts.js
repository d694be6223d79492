"use strict";
// Charts by Observable Plot: every one with axes, hover values, and itself as SVG and CSV.
const ink = number => `var(--c${number % DATA.styles.length})`;
const rounded = value => {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-4 ? value.toExponential(2) : String(+value.toPrecision(4)).replace("-", "−");
};
const faded = label => highlighted !== null && label !== highlighted ? 0.2 : 1;
const look = { fontFamily: "inherit", fontSize: "12px", background: "none", overflow: "visible" };

// The figure around a drawing has its text; labels on lines and groups are not allowed, and become marks' names.
function named(drawing, title) {
  drawing.dataset.title = title;
  for (const one of drawing.querySelectorAll("[aria-label]")) {
    one.dataset.mark = one.getAttribute("aria-label");
    one.removeAttribute("aria-label");
  }
  return drawing;
}
// A copy that stands alone: colours as they are seen, no variables.
function asSvg(svg) {
  const copy = svg.cloneNode(true), seen = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((one, place) => {
    for (const name of ["fill", "stroke"]) {
      if (/var\(|currentColor/i.test(one.getAttribute(name) ?? "")) one.setAttribute(name, getComputedStyle(seen[place])[name]);
    }
  });
  copy.querySelectorAll("[aria-label=tip], [data-mark=tip]").forEach(one => one.remove());
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("style", `font: 12px sans-serif; color: ${getComputedStyle(svg).color}`);
  return copy;
}
// Drawings below each other, as one.
function stacked(drawings) {
  const outer = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  let top = 0, width = 0;
  for (const [title, drawing] of drawings) {
    const copy = asSvg(drawing), height = +drawing.getAttribute("height");
    if (title) {
      const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      text.textContent = title;
      text.setAttribute("y", top + 14);
      text.setAttribute("style", `font: 12px sans-serif; fill: ${getComputedStyle(drawing).color}`);
      outer.append(text);
      top += 18;
    }
    copy.setAttribute("y", top);
    outer.append(copy);
    top += height;
    width = Math.max(width, +drawing.getAttribute("width"));
  }
  outer.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  outer.setAttribute("width", width);
  outer.setAttribute("height", top);
  outer.setAttribute("viewBox", `0 0 ${width} ${top}`);
  return outer.outerHTML;
}
function tools(figure, name, rows, more = []) {
  const bar = document.createElement("div");
  bar.className = "bar controls";
  const button = (text, act) => {
    const one = document.createElement("button");
    one.type = "button";
    one.className = "tool";
    one.textContent = text;
    one.addEventListener("click", act);
    bar.append(one);
    return one;
  };
  more.forEach(([text, act]) => button(text, act));
  button("SVG", () => {
    const drawings = [...figure.querySelectorAll(".drawn svg")].filter(svg => !svg.parentElement.closest("svg"));
    saveFile(fileName(name + ".svg"), "image/svg+xml", stacked(drawings.map(one => [one.dataset.title, one])));
  });
  button("CSV", () => saveFile(fileName(name + ".csv"), "text/csv", csvText(rows())));
  figure.append(bar);
}

// ---- curves: losses, validation, usefulness
function pointsOf(curve) {
  return curve.x.map((x, place) => ({ name: curve.name, x, y: curve.y[place], se: curve.se?.[place] || null }));
}
// Every curve minus the first, at the steps of the first that it covers.
function minusFirst(curves) {
  const [base, ...others] = curves.map(curve => ({ ...curve, points: pointsOf(curve) }));
  const at = (curve, x) => {
    const place = d3.bisectLeft(curve.x, x);
    if (place >= curve.x.length || x < curve.x[0]) return null;
    if (curve.x[place] === x) return curve.y[place];
    const share = (x - curve.x[place - 1]) / (curve.x[place] - curve.x[place - 1]);
    return curve.y[place - 1] + share * (curve.y[place] - curve.y[place - 1]);
  };
  return others.map(curve => {
    const points = base.points.map(point => ({ name: curve.name, x: point.x, y: at(curve, point.x), base: point.y }));
    return { ...curve, points: points.filter(point => point.y !== null).map(point => ({ ...point, y: point.y - point.base })) };
  });
}
function drawCurves(figure, set) {
  const place = figure.querySelector(".drawn");
  let difference = false;
  const curves = () => difference ? minusFirst(set.curves) : set.curves.map(curve => ({ ...curve, points: pointsOf(curve) }));
  const draw = () => {
    const width = Math.max(280, Math.min(figure.clientWidth || 640, 720));
    const shown = curves(), all = shown.flatMap(curve => curve.points), few = all.length <= 40 * shown.length;
    const log = set.log && !difference;
    const marks = [Plot.frame({ anchor: "bottom", stroke: "currentColor", strokeOpacity: 0.4 })];
    if (difference) marks.push(Plot.ruleY([0], { stroke: ink(set.curves[0].style), strokeWidth: 1.5 }));
    for (const curve of shown) {
      const own = { stroke: ink(curve.style), strokeOpacity: faded(curve.name) };
      const dash = shown.length > 1 || difference ? DATA.styles[curve.style % DATA.styles.length].dash : "";
      marks.push(Plot.lineY(curve.points, { x: "x", y: "y", ...own, strokeWidth: 2, strokeDasharray: dash || undefined }));
      const barred = curve.points.filter(point => point.se);
      if (barred.length && !difference) marks.push(Plot.ruleX(barred, { x: "x", y1: d => d.y - d.se, y2: d => d.y + d.se, ...own }));
      if (few) marks.push(Plot.dot(curve.points, { x: "x", y: "y", fill: ink(curve.style), fillOpacity: faded(curve.name), r: 3.5, symbol: DATA.styles[curve.style % DATA.styles.length].symbol }));
    }
    marks.push(Plot.tip(all, Plot.pointer({
      x: "x", y: "y", fill: "var(--panel)", stroke: "var(--line)", textPadding: 8,
      title: d => `${shownName(d.name)}\n${set.x} ${rounded(d.x)}\n${set.y}${difference ? " minus " + shownName(set.curves[0].name) : ""} ${rounded(d.y)}${d.se ? " ± " + rounded(d.se) : ""}`,
    })));
    const drawing = Plot.plot({
      width, height: 260, marginLeft: 58, marginBottom: 42, style: look, marks,
      x: { label: set.x, labelAnchor: "center", labelArrow: "none", ticks: Math.round(width / 90) },
      y: { label: (difference ? `${set.y}, minus ${shownName(set.curves[0].name)}` : set.y) + (log ? " (logarithmic)" : ""), type: log ? "log" : "linear", grid: true, nice: true, labelArrow: "none", ticks: 5, tickFormat: log ? "~g" : undefined },
    });
    named(drawing, set.title);
    place.replaceChildren(drawing);
  };
  const more = set.curves.length < 2 ? [] : [["as a difference", event => {
    difference = !difference;
    event.target.setAttribute("aria-pressed", String(difference));
    draw();
  }]];
  const rows = () => [["curve", set.x, set.y, "se"], ...curves().flatMap(curve => curve.points.map(point => [shownName(point.name), point.x, point.y, point.se]))];
  tools(figure, set.id, rows, more);
  if (more.length) figure.querySelector(".bar .tool").setAttribute("aria-pressed", "false");
  redraws.push(draw);
  draw();
}

// ---- forest: a row a metric, each with an axis of its own, better to the right
const MOST_ROWS = 5, PAPER_PX = 300; // the column of report.css: a drawing that is scaled down has letters too small to read
let onPaper = false;
function forestRows() {
  const shown = chosen();
  return DATA.rows.filter(row => shown.has(row.id) && row.arms[DATA.baseline] && Object.keys(row.differences).length).slice(0, MOST_ROWS);
}
function forestRow(row, width) {
  const base = row.arms[DATA.baseline].value;
  const arms = Object.entries(row.differences).map(([label, delta]) => ({
    label, at: base + delta.value, from: base + delta.low, to: base + delta.high, clear: delta.outcome !== "open", delta,
  }));
  const own = [base, ...arms.flatMap(arm => [arm.from, arm.to])];
  const span = (d3.max(own) - d3.min(own)) || Math.abs(base) || 1;
  const marks = Object.entries(row.references).map(([title, number]) => ({ title, at: number.value, text: number.text }));
  const near = marks.filter(mark => mark.at > d3.min(own) - 2 * span && mark.at < d3.max(own) + 2 * span);
  const [low, high] = d3.extent([...own, ...near.map(mark => mark.at)]), pad = 0.06 * ((high - low) || 1);
  const domain = row.better === "lower" ? [high + pad, low - pad] : [low - pad, high + pad];
  for (const mark of marks) mark.edge = near.includes(mark) ? "near" : (mark.at > high) === (row.better !== "lower") ? "right" : "left";
  const height = 18 * arms.length + 40;
  const line = arm => arms.indexOf(arm);
  const drawn = arms.map(arm => [
    Plot.link([arm], { x1: "from", x2: "to", y1: line, y2: line, stroke: ink(styleOf[arm.label]), strokeOpacity: faded(arm.label), strokeWidth: 2 }),
    Plot.dot([arm], { x: "at", y: line, r: 5, symbol: DATA.styles[styleOf[arm.label]].symbol, stroke: ink(styleOf[arm.label]), strokeOpacity: faded(arm.label), fill: arm.clear ? ink(styleOf[arm.label]) : "var(--ground)", fillOpacity: faded(arm.label), strokeWidth: 2 }),
  ]);
  const drawing = Plot.plot({
    width, height, marginLeft: 14, marginRight: 14, marginTop: 8, marginBottom: 30, style: look,
    x: { domain, label: null, ticks: Math.max(3, Math.round(width / 110)), grid: false },
    y: { domain: [-0.7, arms.length - 0.1], reverse: true, axis: null },
    marks: [
      Plot.axisX({ anchor: "bottom", ticks: Math.max(3, Math.round(width / 110)), label: null, tickSize: 4 }),
      Plot.frame({ anchor: "bottom", stroke: "currentColor", strokeOpacity: 0.35 }),
      Plot.ruleX([base], { stroke: ink(styleOf[DATA.baseline] ?? 0), strokeWidth: 2 }),
      ...drawn.flat(),
      Plot.dot(near, { x: "at", y: () => arms.length - 0.3, symbol: "triangle", r: 4, fill: "var(--muted)" }),
      Plot.tip([...arms.map(arm => ({ x: arm.at, y: line(arm), text: `${shownName(arm.label)}: ${row.arms[arm.label]?.text ?? ""}\ndifference ${arm.delta.text}\np ${arm.delta.p}` })),
        { x: base, y: -0.5, text: `${shownName(DATA.baseline)}: ${row.arms[DATA.baseline].text}` },
        ...near.map(mark => ({ x: mark.at, y: arms.length - 0.3, text: `${mark.title}: ${mark.text}` }))],
        Plot.pointer({ x: "x", y: "y", title: "text", fill: "var(--panel)", stroke: "var(--line)", textPadding: 8 })),
    ],
  });
  named(drawing, row.name);
  return [drawing, marks];
}
function drawForest(figure) {
  const place = figure.querySelector(".drawn");
  const draw = () => {
    const whole = figure.clientWidth || 800, narrow = matchMedia("(max-width: 46rem)").matches;
    const width = onPaper ? PAPER_PX : Math.max(240, narrow ? whole : whole - 420);
    place.replaceChildren(...forestRows().map(row => {
      const line = document.createElement("div"), name = document.createElement("p"), told = document.createElement("p");
      line.className = "forest-row";
      name.className = "forest-name";
      name.textContent = row.name;
      const small = document.createElement("span");
      small.className = "small";
      small.textContent = row.title;
      if (!row.name.startsWith(row.title)) name.append(small);
      const [drawing, marks] = forestRow(row, width);
      told.className = "forest-told";
      for (const [label, delta] of Object.entries(row.differences)) {
        const one = document.createElement("span");
        one.className = delta.outcome;
        one.textContent = (Object.keys(row.differences).length > 1 ? shownName(label) + " " : "") + delta.text.replace(", ", ",\u00a0");
        told.append(one);
      }
      const beyond = marks.map(mark => `${{ left: "◂", right: "▸", near: "▲" }[mark.edge]} ${mark.title} ${mark.text.split(" ")[0]}`);
      if (beyond.length) {
        const one = document.createElement("span");
        one.className = "small";
        one.textContent = beyond.join(", ");
        told.append(one);
      }
      line.append(name, drawing, told);
      return line;
    }));
  };
  const rows = () => [["metric", "arm", "value", "difference", "low", "high", "p"], ...forestRows().flatMap(row => [
    ...Object.entries(row.arms).map(([arm, number]) => { const delta = row.differences[arm] ?? {}; return [row.id, shownName(arm), number.value, delta.value, delta.low, delta.high, delta.p]; }),
    ...Object.entries(row.references).map(([title, number]) => [row.id, title, number.value]),
  ])];
  tools(figure, "differences", rows);
  redraws.push(draw);
  draw();
}

for (const figure of document.querySelectorAll("[data-chart]")) {
  const set = DATA.curves.find(one => one.id === figure.dataset.chart);
  if (set) drawCurves(figure, set);
  else if (figure.dataset.chart === "forest") drawForest(figure);
}
{
  let width = innerWidth, timer;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(timer);
    timer = setTimeout(redraw, 150);
  });
  const turn = paper => { onPaper = paper; redraw(); };
  addEventListener("beforeprint", () => turn(true));
  addEventListener("afterprint", () => turn(false));
}
