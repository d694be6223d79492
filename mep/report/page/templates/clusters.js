// Names of clusters: kept in the browser while they are typed, saved as a recipe that another one extends.
(() => {
  "use strict";
  const { run, arm } = document.body.dataset;
  const fields = [...document.querySelectorAll("input[data-cluster]")];
  const key = `mep clusters ${run} ${arm}`;

  function names() {
    return fields.map((field) => [field.dataset.cluster, field.value.trim()]).filter(([, name]) => name);
  }

  function count() {
    const found = fields.filter((field) => field.placeholder && !field.value.trim()).length;
    const rest = found ? `, ${found} found` : "";
    document.getElementById("count").textContent = `${names().length} of ${fields.length} named${rest}`;
  }

  function remember() {
    try {
      localStorage.setItem(key, JSON.stringify(Object.fromEntries(names())));
    } catch {
      // a browser that keeps nothing still saves the file
    }
  }

  function recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(key) || "{}");
      for (const field of fields) field.value = kept[field.dataset.cluster] || field.value;
    } catch {
      // as above
    }
  }

  function yaml() {
    const lines = names().map(([cluster, name]) => `    ${cluster}: ${JSON.stringify(name)}`);
    const head = [
      `# Names of the clusters of run ${run}, arm ${arm}. A recipe beside this file reads them: extends: names.yaml`,
      "# The numbers hold for this clustering; clustering.ids_from keeps them in another one.",
    ];
    const body = lines.length ? ["prompts:", "  cluster_names:", ...lines] : ["prompts: {cluster_names: {}}"];
    return [...head, "mep: 2", ...body, ""].join("\n");
  }

  for (const [place, field] of fields.entries()) {
    field.addEventListener("input", () => {
      remember();
      count();
    });
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      (fields[place + 1] || document.querySelector("#save button")).focus();
    });
  }
  for (const button of document.querySelectorAll("button[data-take]")) {
    button.addEventListener("click", () => {
      const field = document.getElementById(`name-${button.dataset.take}`);
      field.value = field.placeholder;
      field.dispatchEvent(new Event("input"));
      field.focus();
    });
  }
  document.getElementById("save").addEventListener("submit", (event) => {
    event.preventDefault();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([yaml()], { type: "application/yaml" }));
    link.download = "names.yaml";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  recall();
  count();
})();
