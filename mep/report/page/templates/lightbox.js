"use strict";
// Any image large: along its row, across real images and arms, through the steps of the training, by keyboard.
{
  const box = document.getElementById("lightbox"), find = name => box.querySelector(name);
  const large = find(".lightbox-large"), linked = find(".lightbox-linked"), steps = find(".lightbox-steps"), slider = find(".lightbox-steps input");
  const pairs = new Map();  // a sample's key -> the training image that comes nearest to it, and their distance
  for (const figure of document.querySelectorAll(".pairs figure")) {
    const [sample, real] = figure.querySelectorAll("img");
    if (sample?.dataset.key && real) pairs.set(sample.dataset.key, [real, figure.querySelector("figcaption").textContent]);
  }
  const titleOf = row => row.querySelector(".strip-title, figcaption")?.innerText.trim() ?? "";
  // What belongs together: for every step the rows, each with a title and its images.
  function gather(group) {
    if (group.dataset.link !== "steps") {
      const strips = [...group.querySelectorAll(".strip")];
      return { steps: [""], rows: [strips.map(strip => ({ title: titleOf(strip), images: [...strip.querySelectorAll("img")] }))] };
    }
    const tables = [...group.querySelectorAll("table.looks")];
    const all = [...new Set(tables.flatMap(table => [...table.rows].map(row => +row.dataset.step)))].sort((a, b) => a - b);
    const rows = all.map(step => tables.map(table => {
      const row = [...table.rows].findLast(one => +one.dataset.step <= step) ?? table.rows[0];
      return { title: `${table.dataset.title}, step ${row.dataset.step}`, images: [...row.querySelectorAll("img")] };
    }));
    return { steps: all.map(String), rows };
  }
  let opened = null, from = null;  // {steps, rows, step, row, column}
  const current = () => {
    const row = opened.rows[opened.step][opened.row];
    return row.images[Math.min(opened.column, row.images.length - 1)];
  };
  function copyOf(image, size) {
    const copy = document.createElement("img");
    copy.src = image.src;
    copy.alt = image.alt;
    if (size) copy.width = copy.height = size;
    return copy;
  }
  function show() {
    const image = current(), rows = opened.rows[opened.step];
    const picture = copyOf(image);
    large.replaceChildren(picture);
    find(".lightbox-title").textContent = rows[opened.row].title.replaceAll("\n", " ");
    find(".lightbox-told").textContent = `${image.alt} (${image.naturalWidth} × ${image.naturalHeight} px, lossless); ${Math.min(opened.column, rows[opened.row].images.length - 1) + 1} of ${rows[opened.row].images.length}`;
    const near = pairs.get(image.dataset.key);
    if (near) {
      const figure = document.createElement("figcaption");
      figure.textContent = `nearest training image: ${near[1]}`;
      large.append(copyOf(near[0]), figure);
    }
    linked.replaceChildren(...rows.map((row, place) => {
      const button = document.createElement("button"), other = row.images[Math.min(opened.column, row.images.length - 1)];
      button.type = "button";
      if (other) button.append(copyOf(other, 72));
      const told = document.createElement("span");
      told.textContent = row.title.replaceAll("\n", " ");
      button.append(told);
      button.setAttribute("aria-current", String(place === opened.row));
      button.hidden = !other;
      button.addEventListener("click", () => { opened.row = place; show(); });
      return button;
    }));
    const many = opened.steps.length > 1;
    steps.hidden = find(".lightbox-step-keys").hidden = !many;
    slider.max = opened.steps.length - 1;
    slider.value = opened.step;
    find("output").textContent = opened.steps[opened.step];
  }
  function open(image) {
    const group = image.closest("[data-link]");
    if (!group) return;
    const found = gather(group);
    for (const [step, rows] of found.rows.entries()) for (const [row, { images }] of rows.entries()) {
      const column = images.indexOf(image);
      if (column >= 0) {
        opened = { ...found, step, row, column };
        from = document.activeElement;
        show();
        box.showModal();
        return;
      }
    }
  }
  function move(rows, columns) {
    const all = opened.rows[opened.step];
    if (columns) {
      const n = all[opened.row].images.length;
      opened.column = (Math.min(opened.column, n - 1) + columns + n) % n;
    }
    for (let turn = 0; rows && turn < all.length; turn++) {  // rows without an image are passed over
      opened.row = (opened.row + rows + all.length) % all.length;
      if (all[opened.row].images.length) break;
    }
    show();
  }
  function toStep(step) {
    opened.step = Math.max(0, Math.min(opened.steps.length - 1, step));
    show();
  }
  box.addEventListener("keydown", event => {
    const act = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    const step = { "[": -1, "]": 1 }[event.key];
    if (step) return toStep(opened.step + step);
    if (!act || event.target === slider) return;
    event.preventDefault();
    move(...act);
  });
  slider.addEventListener("input", () => toStep(+slider.value));
  find("[data-close]").addEventListener("click", () => box.close());
  box.addEventListener("click", event => { if (event.target === box) box.close(); });
  box.addEventListener("close", () => { large.replaceChildren(); linked.replaceChildren(); from?.focus?.(); });
  document.addEventListener("click", event => {
    if (event.target instanceof HTMLImageElement && !box.contains(event.target)) open(event.target);
  });
  for (const group of document.querySelectorAll("[data-link]")) {
    for (const holder of [group, ...group.querySelectorAll("[role=group]")]) {
      if (holder.getAttribute("role") === "group") holder.addEventListener("keydown", event => {
        const first = event.target === holder && event.key === "Enter" && holder.querySelector("img");
        if (first) { event.preventDefault(); open(first); }
      });
    }
  }
}
