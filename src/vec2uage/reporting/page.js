"use strict";

function makeButton(...content) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...content);
  return button;
}

// Sorting: a first click on a head sorts up, a second one down, a third one gives the first order back.

const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
const texts = new Intl.Collator("en", { numeric: true }); // run_2 before run_10

function key(row, column, numeric) {
  const { dataset, textContent } = row.cells[column];
  const value = dataset.value ?? textContent;
  return numeric && value !== "" ? Number(value) : value;
}

function compare(a, b, numeric) {
  return numeric ? (a > b) - (a < b) : texts.compare(a, b);
}

function sorted(rows, column, numeric, sign) {
  const keyed = rows.map((row) => ({ row, key: key(row, column, numeric) }));
  keyed.sort((a, b) => {
    const missing = (a.key === "") - (b.key === ""); // what does not exist is last, whichever way
    return missing || sign * compare(a.key, b.key, numeric);
  });
  return keyed.map(({ row }) => row);
}

for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...table.tBodies[0].rows];
  heads.forEach((head, column) => {
    const button = makeButton(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const order = NEXT[head.getAttribute("aria-sort")];
      for (const other of heads) other.setAttribute("aria-sort", other === head ? order : "none");
      const numeric = head.classList.contains("number");
      const inOrder = order === "none" ? rows : sorted(rows, column, numeric, order === "ascending" ? 1 : -1);
      table.tBodies[0].append(...inOrder);
    });
  });
}

// Searching: only rows with all the words typed are shown.

for (const search of document.querySelectorAll(".search")) {
  const rows = [...search.parentElement.querySelector("tbody").rows];
  const found = rows.map((row) => [...row.cells].map((cell) => cell.textContent.toLowerCase()).join("\n"));
  const input = search.querySelector("input");
  const count = search.querySelector("span");
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/);
    rows.forEach((row, k) => (row.hidden = !words.every((word) => found[k].includes(word))));
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  input.addEventListener("input", show);
  show();
  search.hidden = false;
}

// Figures open large.

const dialog = document.querySelector("dialog");
const enlarged = dialog.querySelector("img");

for (const figure of document.querySelectorAll("figure")) {
  const image = figure.querySelector("img");
  const number = figure.querySelector("b").textContent.replace(".", "");
  const button = makeButton();
  button.setAttribute("aria-label", `Enlarge ${number}`);
  button.setAttribute("aria-haspopup", "dialog");
  image.replaceWith(button);
  button.append(image);
  button.addEventListener("click", () => {
    enlarged.src = image.src;
    enlarged.alt = image.alt;
    dialog.querySelector("b").textContent = number;
    dialog.showModal();
  });
}

dialog.querySelector("button").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // outside of what it holds
});

// The theme is the system's until the other one is chosen, for as long as the page is open.

const theme = document.querySelector("#theme");
const system = matchMedia("(prefers-color-scheme: dark)");
let chosen = false;

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  theme.textContent = dark ? "Light theme" : "Dark theme";
}

setTheme(system.matches);
system.addEventListener("change", () => chosen || setTheme(system.matches));
theme.addEventListener("click", () => {
  chosen = true;
  setTheme(document.documentElement.dataset.theme !== "dark");
});
theme.hidden = false;
