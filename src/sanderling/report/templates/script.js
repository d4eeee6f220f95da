"use strict";
// The page is whole without this: it adds tooltips, arrow keys in the plots, and sorting.

const tip = document.body.appendChild(document.createElement("div"));
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true");

function show(point) {
  tip.textContent = point.dataset.tip;
  tip.hidden = false;
  const at = point.getBoundingClientRect();
  const width = document.documentElement.clientWidth;
  const left = Math.min(Math.max(8, at.left + at.width / 2 - tip.offsetWidth / 2), width - tip.offsetWidth - 8);
  const above = at.top - tip.offsetHeight - 6;
  tip.style.left = `${left + window.scrollX}px`;
  tip.style.top = `${(above > 4 ? above : at.bottom + 6) + window.scrollY}px`;
}

for (const svg of document.querySelectorAll(".plot svg")) {
  const points = [...svg.querySelectorAll(".point")];
  const place = (point) => point.transform.baseVal.getItem(0).matrix.e;
  const ordered = [...points].sort((a, b) => place(a) - place(b));
  for (const point of points) {
    const title = point.querySelector("title");
    point.dataset.tip = title.textContent;
    title.remove(); // or the browser would show a second tooltip; aria-label keeps the text
    point.setAttribute("tabindex", point === ordered[0] ? "0" : "-1");
    point.addEventListener("pointerenter", () => show(point));
    point.addEventListener("pointerleave", () => { tip.hidden = true; });
    point.addEventListener("focus", () => show(point));
    point.addEventListener("blur", () => { tip.hidden = true; });
    point.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") tip.hidden = true;
      if (!step) return;
      event.preventDefault();
      const next = ordered[(ordered.indexOf(point) + step + ordered.length) % ordered.length];
      point.setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus({ preventScroll: true });
    });
  }
}

function compare(a, b, number) {
  if (a === "" || b === "") return (a === "") - (b === ""); // what was not measured comes last
  return number ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true });
}

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.classList.add("live");
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const value = (row) => row.cells[column].dataset.value;
      const rows = [...body.rows];
      rows.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        const order = compare(x, y, head.dataset.type === "number");
        return down && x !== "" && y !== "" ? -order : order;
      });
      for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}
