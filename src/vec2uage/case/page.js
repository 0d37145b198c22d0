
// Listings: tables of any number of rows, of which a page is shown at a time. Their texts are set as texts, never as HTML.

const ROWS = 25; // of a page
const DASH = "\u2013";
const numbers = (a, b) => a - b;

// By what a column holds: how two values compare, how one is shown, and whether it is a number.
const KINDS = {
  text: { compare: texts.compare, show: String, numeric: false },
  years: { compare: numbers, show: (age) => age.toFixed(1).replace(/^-0\.0$/, "0.0"), numeric: true },
  count: { compare: numbers, show: String, numeric: true },
  probability: {
    compare: numbers,
    show: (p) => (p < 0.001 ? "<0.001" : p > 0.999 ? ">0.999" : p.toFixed(3)), // never quite sure
    numeric: true,
  },
};

const counted = (number) => number.toLocaleString("en");
const isMissing = (value) => value === null || value === "";

function make(tag, properties = {}, ...content) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...content);
  return element;
}

// By what rows can be asked for: an input, what it is called, and whether it asks for a value.

function askForChoice(column, values) {
  const choices = new Set(values.flatMap((value) => (isMissing(value) ? [] : value.split("; "))));
  const select = make("select", {}, make("option", { value: "" }, "all"));
  for (const choice of [...choices].sort(texts.compare)) select.append(make("option", {}, choice));
  return {
    input: select,
    label: column.head,
    asks: (value) => !select.value || (!isMissing(value) && value.split("; ").includes(select.value)),
  };
}

function askForBound(column, values, isWithin) {
  const input = make("input", { type: "number", step: "any", min: 0 });
  return {
    input,
    label: `${column.head} ${column.ask}`,
    asks: (value) => input.value === "" || (!isMissing(value) && isWithin(value, Number(input.value))),
  };
}

const ASK = {
  of: askForChoice,
  "at least": (column, values) => askForBound(column, values, (value, bound) => value >= bound),
  "at most": (column, values) => askForBound(column, values, (value, bound) => value <= bound),
};

function askForWords() {
  const input = make("input", { type: "search", autocomplete: "off", spellcheck: false });
  let typed, words;
  const asks = (text) => {
    if (typed !== input.value) [typed, words] = [input.value, input.value.toLowerCase().split(/\s+/)];
    return words.every((word) => text.includes(word));
  };
  return { input, label: "Search", asks };
}

function textOf(row) {
  return row.filter((value) => typeof value === "string").join("\n").toLowerCase();
}

function labelled({ input, label }) {
  return make("label", {}, label, input);
}

for (const listing of document.querySelectorAll(".listing")) {
  const data = JSON.parse(listing.querySelector("script").textContent);
  const { title, rows } = data;
  // a column of which nothing is known is not shown
  const columns = data.columns
    .map((column, place) => ({ ...column, ...KINDS[column.kind], place }))
    .filter(({ place }) => rows.some((row) => !isMissing(row[place])));
  const words = askForWords();
  const asked = columns
    .filter(({ ask }) => ask)
    .map((column) => ({ ...ASK[column.ask](column, rows.map((row) => row[column.place])), place: column.place }));

  const body = make("tbody");
  const heads = columns.map((column) => {
    const button = makeButton(column.head);
    const head = make("th", { scope: "col", className: column.numeric ? "number" : "" }, button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sortBy(column, head));
    return head;
  });
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
  table.setAttribute("aria-label", title);
  const scroll = make("div", { className: "scroll", tabIndex: 0 }, table);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", title);
  const count = make("span");
  count.setAttribute("aria-live", "polite");
  const turns = {
    First: () => 0,
    Previous: () => first - ROWS,
    Next: () => first + ROWS,
    Last: () => Math.floor((shown.length - 1) / ROWS) * ROWS,
  };
  const buttons = Object.entries(turns).map(([name, turn]) => {
    const button = makeButton(name);
    button.addEventListener("click", () => turnTo(turn()));
    return button;
  });

  let inOrder = rows;
  let shown = rows;
  let first = 0;
  let found; // each row's texts, once they are searched

  function sortBy(column, head) {
    const order = NEXT[head.getAttribute("aria-sort")];
    for (const other of heads) other.setAttribute("aria-sort", other === head ? order : "none");
    const sign = order === "ascending" ? 1 : -1;
    const compared = (a, b) => {
      const [one, other] = [a[column.place], b[column.place]];
      const missing = isMissing(one) - isMissing(other); // what does not exist is last, whichever way
      return missing || (isMissing(one) ? 0 : sign * column.compare(one, other));
    };
    inOrder = order === "none" ? rows : [...rows].sort(compared);
    choose();
  }

  function choose() {
    if (words.input.value) found ??= new Map(rows.map((row) => [row, textOf(row)]));
    shown = inOrder.filter(
      (row) => asked.every(({ asks, place }) => asks(row[place])) && (!words.input.value || words.asks(found.get(row))),
    );
    turnTo(0);
  }

  function turnTo(from) {
    first = from;
    const page = shown.slice(first, first + ROWS);
    body.replaceChildren(...page.map((row) => make("tr", {}, ...columns.map((column, k) => makeCell(column, row, k)))));
    const range = page.length ? `${counted(first + 1)} to ${counted(first + page.length)} of ` : "";
    const all = shown.length === rows.length ? "" : `, out of ${counted(rows.length)}`;
    count.textContent = `${range}${counted(shown.length)}${all}`;
    const [atStart, atEnd] = [first === 0, first + ROWS >= shown.length];
    buttons.forEach((button, k) => (button.disabled = k < 2 ? atStart : atEnd));
  }

  function makeCell({ place, numeric, show }, row, k) {
    const text = isMissing(row[place]) ? DASH : show(row[place]);
    const className = numeric ? "number" : text.length > 40 ? "prose" : "";
    return make(k ? "td" : "th", { className, ...(k ? {} : { scope: "row" }) }, text);
  }

  const bar = make("p", { className: "asked" }, ...[words, ...asked].map(labelled));
  bar.addEventListener("input", choose);
  listing.append(bar, scroll, make("p", { className: "turned" }, count, ...buttons));
  turnTo(0);
}
