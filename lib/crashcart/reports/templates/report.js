"use strict";
(() => {
  const tools = document.getElementById("tools");
  if (!tools) return;
  const rows = [...document.querySelectorAll(".target")];
  const groups = [...document.querySelectorAll(".group")];
  const find = document.getElementById("find");
  const found = document.getElementById("found");
  const openAll = document.getElementById("open-all");
  const chosen = new Set();
  let texts = null;

  const shown = () => rows.filter((row) => !row.hidden && !row.closest(".group").hidden);

  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    texts ??= words.length ? rows.map((row) => row.textContent.toLowerCase()) : null;
    rows.forEach((row, place) => {
      row.hidden = words.some((word) => !texts[place].includes(word));
    });
    for (const group of groups) {
      const left = group.querySelectorAll(".target:not([hidden])").length;
      group.hidden = (chosen.size > 0 && !chosen.has(group.dataset.group)) || left === 0;
    }
    const count = shown().length;
    found.textContent = words.length || chosen.size ? `${count} of ${rows.length} shown` : "";
    tellOpen();
  }

  function tellOpen() {
    const visible = shown();
    const all = visible.length > 0 && visible.every((row) => row.firstElementChild.open);
    openAll.setAttribute("aria-pressed", String(all));
  }

  for (const item of document.querySelectorAll("#counts li")) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    button.append(...item.childNodes);
    item.append(button);
    button.addEventListener("click", () => {
      const word = item.dataset.group;
      const on = !chosen.delete(word);
      if (on) chosen.add(word);
      button.setAttribute("aria-pressed", String(on));
      filter();
    });
  }
  openAll.addEventListener("click", () => {
    const open = openAll.getAttribute("aria-pressed") !== "true";
    for (const row of shown()) row.firstElementChild.open = open;
    tellOpen();
  });
  find.addEventListener("input", filter);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.hidden = false;
})();
