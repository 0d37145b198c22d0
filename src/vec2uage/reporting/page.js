"use strict";

// Sorting: a click goes from ascending to descending to the first order; what does not exist stays last.
const words = new Intl.Collator("en", { numeric: true });

function compare(a, b, numeric) {
  if (a === "" || b === "") return (a === "") - (b === "");
  return numeric ? Number(a) - Number(b) : words.compare(a, b);
}

function sort(table, head, column) {
  const next = { ascending: "descending", descending: "none" }[head.ariaSort] ?? "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  if (next !== "none") head.setAttribute("aria-sort", next);
  const numeric = head.classList.contains("number");
  const rows = table.rowsInOrder.slice();
  if (next !== "none") {
    const key = (row) => row.cells[column].dataset.value;
    const sign = next === "ascending" ? 1 : -1;
    rows.sort((a, b) => {
      const missing = (key(a) === "") - (key(b) === "");
      return missing || sign * compare(key(a), key(b), numeric);
    });
  }
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table")) {
  table.rowsInOrder = [...table.tBodies[0].rows];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, head, column));
  });
}

// Searching: rows without all the words typed are hidden.
for (const search of document.querySelectorAll(".search")) {
  const rows = [...search.parentElement.querySelector("tbody").rows];
  const input = search.querySelector("input");
  const count = search.querySelector("span");
  search.hidden = false;
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.classList.toggle("filtered", !wanted.every((word) => text.includes(word)));
    }
    const left = rows.filter((row) => !row.classList.contains("filtered")).length;
    count.textContent = input.value ? `${left} of ${rows.length} rows` : "";
  });
}

// Figures open large; without this script the link saves them.
const dialog = document.querySelector("dialog");
for (const link of document.querySelectorAll(".zoom")) {
  link.removeAttribute("download");
  link.setAttribute("aria-haspopup", "dialog");
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const image = link.querySelector("img");
    dialog.querySelector("img").src = image.src;
    dialog.querySelector("img").alt = image.alt;
    dialog.showModal();
  });
}
dialog.querySelector("button").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

// The theme follows the system until it is chosen here; nothing is stored.
const theme = document.querySelector("#theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const dark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
const name = () => (theme.textContent = dark() ? "Light" : "Dark");
theme.hidden = false;
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  name();
});
system.addEventListener("change", name);
name();
