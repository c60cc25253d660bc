"use strict";
// Filters, sorting, the drawer and the theme. Nothing here makes HTML of data: elements are moved, cloned or hidden.
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (selector, from = document) => from.querySelector(selector);
  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const root = document.documentElement;
  const form = one("#controls");
  const drawer = one("#drawer");
  const START = { q: "", verdict: "", paper: "", runs: "", baselines: "1", sort: "", row: "", at: "" };
  const state = { ...START };
  root.classList.add("js");
  form.hidden = one(".theme").hidden = false;

  // The state stands in the address behind the #, so that what one sees can be sent to somebody.
  function readHash() {
    const hash = location.hash.slice(1);
    if (!hash.includes("=")) {
      state.at = hash;
      return;
    }
    const found = new URLSearchParams(hash);
    for (const key of Object.keys(START)) state[key] = found.get(key) ?? START[key];
  }
  function writeHash() {
    const found = new URLSearchParams();
    for (const [key, value] of Object.entries(state)) if (value !== START[key]) found.set(key, value);
    const alone = [...found.keys()].join() === "at";
    history.replaceState(null, "", `#${alone ? state.at : found}`);
  }

  // Filters
  const texts = new Map();
  function textOf(element) {
    if (!texts.has(element)) {
      const more = element.dataset.row ? document.getElementById(element.dataset.row) : null;
      const paper = element.closest(".paper");
      texts.set(element, [paper?.dataset.name, element.textContent, more?.textContent].join(" ").toLowerCase());
    }
    return texts.get(element);
  }
  function fits(element) {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    return (
      (!state.verdict || element.dataset.kinds.split(" ").includes(state.verdict)) &&
      (!state.runs || element.dataset.runs !== "0") &&
      (state.baselines || !element.classList.contains("baseline")) &&
      words.every((word) => textOf(element).includes(word))
    );
  }
  function applyPart(part, filtered) {
    const items = all("tr.row, .claim", part);
    if (!items.length) {
      part.hidden = filtered && !(state.q && !state.verdict && textOf(part).includes(state.q.toLowerCase()));
      return false;
    }
    const shown = new Set(items.filter(fits));
    for (const item of items) item.hidden = !shown.has(item);
    for (const standin of all("tr.standin", part)) standin.hidden = ![...shown].some((r) => r.dataset.row === standin.dataset.of);
    for (const group of all("tr.group", part)) group.hidden = !all("tr.row", group.parentElement).some((r) => shown.has(r));
    for (const cell of all("td[data-kind]", part)) cell.classList.toggle("dim", Boolean(state.verdict) && cell.dataset.kind !== state.verdict);
    part.hidden = shown.size === 0 && filtered;
    return shown.size > 0;
  }
  function applyFilters() {
    const filtered = Boolean(state.q || state.verdict || state.runs || !state.baselines);
    for (const paper of all(".paper")) {
      const wanted = !state.paper || paper.id === state.paper;
      const some = all(".part", paper).map((part) => applyPart(part, filtered)).some(Boolean);
      paper.hidden = !wanted || (filtered && !some && all(".part", paper).every((part) => part.hidden));
    }
    const visible = (selector) => all(selector).filter((e) => !e.hidden && !e.closest(".paper").hidden).length;
    const rows = visible("tr.row");
    const claims = visible(".claim");
    const count = (shown, every, word) => `${shown === every ? "" : `${shown} of `}${every} ${word}`;
    one(".status").textContent = `${count(rows, all("tr.row").length, "rows")}, ${count(claims, all(".claim").length, "claims")}`;
    one(".reset").hidden = !filtered && !state.paper;
    one(".nothing").hidden = rows + claims > 0;
    for (const link of all(".tile")) link.toggleAttribute("aria-current", link.dataset.verdict === state.verdict);
  }
  function showControls() {
    for (const name of ["q", "verdict", "paper"]) form.elements[name].value = state[name];
    for (const name of ["runs", "baselines"]) form.elements[name].checked = Boolean(state[name]);
  }
  function readControls() {
    for (const name of ["q", "verdict", "paper"]) state[name] = form.elements[name].value;
    for (const name of ["runs", "baselines"]) state[name] = form.elements[name].checked ? "1" : "";
    applyFilters();
    writeHash();
  }
  one("#papers").prepend(make("p", { className: "nothing", textContent: "Nothing fits these filters.", hidden: true }));
  form.addEventListener("input", readControls);
  form.addEventListener("submit", (event) => event.preventDefault());
  one(".reset").addEventListener("click", () => {
    Object.assign(state, { ...START, sort: state.sort });
    showControls();
    readControls();
    form.elements.q.focus();
  });

  // Sorting: by a column, the other way round, and back to the paper's order.
  const orders = new Map();
  function placeOf(table) {
    const places = new Map();
    const taken = [];
    [...table.tHead.rows].forEach((row, y) => {
      let x = 0;
      for (const cell of row.cells) {
        while (taken[y]?.[x]) x += 1;
        places.set(cell, x);
        for (let dy = 0; dy < cell.rowSpan; dy += 1) for (let dx = 0; dx < cell.colSpan; dx += 1) (taken[y + dy] ??= [])[x + dx] = true;
        x += cell.colSpan;
      }
    });
    return places;
  }
  function restore(table) {
    for (const [body, rows] of orders.get(table)) body.append(...rows);
  }
  function sortTable(table, place, direction) {
    restore(table);
    const heads = placeOf(table);
    for (const head of heads.keys()) head.removeAttribute("aria-sort");
    table.classList.toggle("sorted", Boolean(direction));
    if (!direction) return;
    const head = [...heads].find(([cell, x]) => x === place && cell.dataset.sort)?.[0];
    if (!head) return;
    head.setAttribute("aria-sort", direction === "up" ? "ascending" : "descending");
    const value = (row) => {
      const cell = row.cells[place];
      if (head.dataset.sort === "number") return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
      return (cell.dataset.kind ?? cell.textContent).trim().toLowerCase() || null;
    };
    const sign = direction === "up" ? 1 : -1;
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true }));
    };
    const rows = all("tbody > tr:not(.group, .standin)", table).sort(compare);
    for (const row of rows) table.tBodies[0].append(row, ...all("tr.standin", table).filter((s) => s.dataset.of === row.dataset.row));
  }
  for (const table of all("table[data-key]")) {
    orders.set(table, [...table.tBodies].map((body) => [body, [...body.rows]]));
    for (const [head, place] of placeOf(table)) {
      if (!head.dataset.sort) continue;
      const button = make("button", { type: "button", className: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const next = { ascending: "down", descending: "" }[head.getAttribute("aria-sort")] ?? "up";
        sortTable(table, place, next);
        state.sort = next ? `${table.dataset.key}:${place}:${next}` : "";
        writeHash();
      });
    }
  }

  // The drawer: the evidence of a row, with copies of the cards of its runs.
  let opener = null;
  let home = null;
  function buttonOf(label, action, properties = {}) {
    const button = make("button", { type: "button", textContent: label, ...properties });
    button.addEventListener("click", action);
    return button;
  }
  function neighbour(key, step) {
    const row = one(`tr.row[data-row="${CSS.escape(key)}"]`);
    const rows = all("tr.row", row.closest("table")).filter((r) => !r.hidden);
    return rows[rows.indexOf(row) + step]?.dataset.row;
  }
  function cardsOf(article) {
    const keys = article.dataset.cards.split(" ").filter(Boolean);
    const found = keys.map((key) => document.getElementById(key)?.closest("details")).filter(Boolean);
    return found.map((card) => {
      const copy = card.cloneNode(true);
      for (const element of [copy, ...all("[id]", copy)]) element.removeAttribute("id");
      copy.open = keys.length < 3;
      return copy;
    });
  }
  function putBack() {
    if (home) home.replaceWith(one("article", drawer));
    home = null;
    drawer.replaceChildren();
  }
  function giveFocus(element) {
    element?.focus({ preventScroll: true }); // focus alone would also scroll a wide table sideways
    const box = element?.getBoundingClientRect();
    if (box && (box.top < 90 || box.bottom > innerHeight)) scrollBy(0, box.top - innerHeight / 2);
  }
  function step(key, name) {
    opener = null; // closing leads to the row that is shown, not to the one it began with
    openRow(key, `.${name}`);
  }
  function openRow(key, pressed = ".close") {
    const article = document.getElementById(key);
    if (!article?.matches("article.evidence")) return;
    putBack();
    const cards = cardsOf(article);
    home = document.createComment("evidence");
    article.replaceWith(home);
    const sideways = (label, word, by, name) => {
      const next = neighbour(key, by);
      return buttonOf(label, () => step(next, name), { ariaLabel: word, disabled: !next, className: name });
    };
    const title = make("div", {}, make("h2", { textContent: article.dataset.place }), make("h3", { textContent: article.dataset.part }));
    const close = buttonOf("Close", () => drawer.close(), { className: "close" });
    const head = make("div", { className: "drawer-head" }, title, sideways("↑", "Previous row", -1, "before"), sideways("↓", "Next row", 1, "after"), close);
    const body = make("div", { className: "drawer-body" }, article);
    if (cards.length) body.append(make("section", { className: "drawer-runs" }, make("h4", { textContent: `Runs (${cards.length})` }), make("div", {}, ...cards)));
    drawer.append(head, body);
    drawer.setAttribute("aria-labelledby", `${key}-h`);
    if (!drawer.open) drawer.showModal();
    drawer.scrollTop = 0;
    (one(`${pressed}:enabled`, head) ?? close).focus({ preventScroll: true });
    state.row = key;
    writeHash();
  }
  drawer.addEventListener("close", () => {
    const row = state.row;
    putBack();
    state.row = "";
    writeHash();
    giveFocus(opener?.isConnected ? opener : one(`tr.row[data-row="${CSS.escape(row)}"] a.open`));
    opener = null;
  });

  // Clicks
  async function copy(button) {
    const words = one("code", button.parentElement);
    let done = true;
    try {
      await navigator.clipboard.writeText(words.textContent);
    } catch {
      getSelection().selectAllChildren(words);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Press Ctrl-C";
    setTimeout(() => (button.textContent = "Copy"), 1600);
  }
  for (const box of all(".command")) box.append(make("button", { type: "button", textContent: "Copy", className: "copy" }));
  for (const link of all("a.open")) link.setAttribute("aria-haspopup", "dialog");
  function follow(link) {
    if (link.matches("a.open")) {
      opener = link;
      openRow(link.hash.slice(1));
    } else if (link.dataset.verdict) {
      const again = link.matches(".tile") && state.verdict === link.dataset.verdict && !state.paper;
      Object.assign(state, { verdict: again ? "" : link.dataset.verdict, paper: link.dataset.paper ?? "" });
      showControls();
      readControls();
      one(link.dataset.paper ? link.hash : "#controls").scrollIntoView();
    } else {
      if (drawer.open) drawer.close();
      goTo(link.hash.slice(1));
    }
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    const link = event.target.closest('a[href^="#"]');
    if (button) copy(button);
    else if (event.target === drawer) drawer.close();
    else if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      follow(link);
    }
  });
  function goTo(key, reveal = true) {
    const place = document.getElementById(key);
    if (!place || (!reveal && place.closest("[hidden]"))) return;
    if (place.matches("article.evidence")) return openRow(key);
    for (let e = place; e; e = e.parentElement) if (e.matches("details")) e.open = true;
    if (place.closest("[hidden]")) {
      Object.assign(state, { ...START, sort: state.sort });
      showControls();
      applyFilters();
    }
    const fold = place.closest("details.run, details.packages");
    const focus = fold ? one("summary", fold) : place;
    if (!fold) place.tabIndex = -1;
    focus.focus({ preventScroll: true });
    focus.scrollIntoView();
    state.at = key;
    writeHash();
  }

  // Places that links lead to stay clear of the bar, however many lines it has.
  new ResizeObserver(() => {
    const sticky = getComputedStyle(form).position === "sticky";
    root.style.scrollPaddingTop = `${sticky ? form.offsetHeight + 20 : 12}px`;
  }).observe(form);

  // Theme and print
  const themes = ["system", "light", "dark"];
  const themeButton = one(".theme");
  function setTheme(theme) {
    if (theme === "system") root.removeAttribute("data-theme");
    else root.dataset.theme = theme;
    themeButton.textContent = `Theme: ${theme}`;
    themeButton.dataset.now = theme;
  }
  function remembered() {
    try {
      return themes.find((t) => t === localStorage.getItem("reprise-theme")) ?? "system";
    } catch {
      return "system"; // a browser may keep nothing for files
    }
  }
  themeButton.addEventListener("click", () => {
    const next = themes[(themes.indexOf(themeButton.dataset.now) + 1) % themes.length];
    setTheme(next);
    try {
      localStorage.setItem("reprise-theme", next);
    } catch {
      // it holds until the page is closed
    }
  });
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });

  function start() {
    readHash();
    showControls();
    applyFilters();
    const [key, place, direction] = state.sort.split(":");
    const table = one(`table[data-key="${CSS.escape(key)}"]`);
    if (table) sortTable(table, Number(place), direction);
    if (state.row) openRow(state.row);
    else if (state.at) goTo(state.at, location.hash.includes("=") === false);
  }
  setTheme(remembered());
  addEventListener("hashchange", start);
  start();
})();
