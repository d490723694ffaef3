// Nodes as a grid of cells: one link each, arrow keys between them, and only the cells that changed are touched.

import { h } from "./dom.js";
import { label } from "./states.js";

const DENSE = 1500;

export class NodeGrid {
  // describe(row) returns what is said of a node besides its state.
  constructor({ describe = () => "", total = 0, onFocus = () => {}, stateLabel = label } = {}) {
    this.stateLabel = stateLabel;
    this.cells = new Map();
    this.rows = new Map();
    this.describe = describe;
    this.onFocus = onFocus;
    this.dense = total > DENSE;
    this.current = null;
  }

  group(name, rows) {
    const cells = h("div", { class: this.dense ? "cells dense" : "cells", role: "group", "aria-label": name });
    for (const row of rows) cells.append(this.#cell(row));
    cells.addEventListener("keydown", (event) => this.#move(event, cells));
    cells.addEventListener("focusin", (event) => this.#focused(event.target));
    cells.addEventListener("pointerover", (event) => {
      if (event.target.dataset?.node) this.onFocus(this.rows.get(event.target.dataset.node));
    });
    const first = cells.firstElementChild;
    if (first) first.tabIndex = 0;
    return cells;
  }

  update(rows) {
    for (const row of rows) {
      const cell = this.cells.get(row[0]);
      if (!cell) continue;
      const before = this.rows.get(row[0]);
      this.rows.set(row[0], row);
      if (before[1] !== row[1]) cell.className = cell.className.replace(/\bs-\w+/, `s-${row[1]}`);
      this.#name(cell, row);
      if (cell === this.current) this.onFocus(row);
    }
  }

  // shown: a function of a row; cells of other rows fade.
  filter(shown) {
    let count = 0;
    for (const [name, cell] of this.cells) {
      const inside = shown(this.rows.get(name));
      count += inside;
      cell.classList.toggle("outside", !inside);
    }
    return count;
  }

  counts() {
    const counts = {};
    for (const row of this.rows.values()) counts[row[1]] = (counts[row[1]] ?? 0) + 1;
    return counts;
  }

  #cell(row) {
    const cell = document.createElement("a");
    cell.className = `cell s-${row[1]}`;
    cell.href = `/nodes/${encodeURIComponent(row[0])}`;
    cell.tabIndex = -1;
    cell.dataset.node = row[0];
    this.#name(cell, row);
    this.cells.set(row[0], cell);
    this.rows.set(row[0], row);
    return cell;
  }

  #name(cell, row) {
    const more = this.describe(row);
    cell.setAttribute("aria-label", `${row[0]}: ${this.stateLabel(row[1])}${more ? `, ${more}` : ""}`);
  }

  #focused(cell) {
    if (!cell.dataset?.node) return;
    if (this.current?.parentElement === cell.parentElement) this.current.tabIndex = -1;
    cell.tabIndex = 0;
    this.current = cell;
    this.onFocus(this.rows.get(cell.dataset.node));
  }

  #move(event, cells) {
    const all = [...cells.children];
    const here = all.indexOf(document.activeElement);
    if (here < 0) return;
    const top = all[0].offsetTop;
    let columns = all.findIndex((cell) => cell.offsetTop > top);
    if (columns < 0) columns = all.length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -here, End: all.length - 1 - here };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const there = all[here + step];
    if (!there) return;
    all[here].tabIndex = -1;
    there.tabIndex = 0;
    there.focus();
  }
}
