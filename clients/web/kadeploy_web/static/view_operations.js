// Operations: reboots, power changes and commands, and what became of each node.

import { get } from "./api.js";
import { announce, duration, h, moment, table, words } from "./dom.js";
import { NodeGrid } from "./grid.js";
import { deploymentBadge, nodeBadge } from "./states.js";

const LOOK = 2000;
const SHOWN = 200;
const NODE_WORDS = { to_deploy: "to do", deploying: "under way", deployed: "done", error: "failed" };

function badge(state) {
  return deploymentBadge(state === "running" ? "deploying" : state);
}

function node(state) {
  const shown = nodeBadge(state);
  shown.lastChild.textContent = NODE_WORDS[state] ?? words(state);
  return shown;
}

// Looks again while the view is open and somebody can see it.
function again(load) {
  const timer = setInterval(() => { if (!document.hidden) load().catch(() => {}); }, LOOK);
  return () => clearInterval(timer);
}

export async function showOperations(place) {
  const result = h("div", {});
  place.append(h("h1", {}, "Operations"), h("section", { class: "panel" }, result));
  async function load() {
    const { operations } = await get("/operations");
    result.replaceChildren(table("Operations, the latest first", ["Operation", "State", "What", "Nodes", "Owner", "Created", "How it ended"],
      operations.map((one) => [h("a", { href: `/operations/${one.id}`, class: "mono" }, one.id), badge(one.state), one.action || words(one.kind),
        h("span", { class: "mono" }, one.nodes.slice(0, 60)), one.owner, moment(one.created), one.description]), { narrow: [3, 4, 5, 6], empty: "Nothing was rebooted, switched or run yet." }));
  }
  await load();
  return again(load);
}

export async function showOperation(place, id) {
  const facts = h("dl", { class: "facts" });
  const cells = h("div", {});
  const list = h("div", { class: "under" });
  let grid;
  let stop = () => {};
  place.append(h("h1", {}, "Operation ", h("span", { class: "mono" }, id)), h("section", { class: "panel", "aria-label": "Overview" }, facts),
    h("section", { class: "panel", "aria-labelledby": "nodes" }, h("h2", { id: "nodes" }, "Nodes"), cells, list));
  async function load() {
    const { head, rows } = await get(`/operations/${encodeURIComponent(id)}`);
    const all = [["State", badge(head.state)], ["What", head.action || words(head.kind)], ["Nodes", h("span", { class: "mono" }, head.nodes)], ["Owner", head.owner],
      ["Created", moment(head.created)], ["Time", duration((head.ended ?? Date.now() / 1000) - head.created)], ["How it ended", head.description]];
    facts.replaceChildren(...all.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
    if (!grid) {
      grid = new NodeGrid({ total: rows.length, describe: (row) => row[4], stateLabel: (state) => NODE_WORDS[state] ?? words(state) });
      cells.replaceChildren(grid.group("Nodes of the operation; arrow keys move between them", rows));
    } else grid.update(rows);
    const worst = [...rows].sort((a, b) => (b[1] === "error") - (a[1] === "error")).slice(0, SHOWN);
    list.replaceChildren(table("Nodes of the operation", ["Node", "State", "Step", "Time", "Why"], worst.map((row) => [
      h("a", { href: `/nodes/${encodeURIComponent(row[0])}` }, row[0]), node(row[1]), words(row[2]), row[5] ? duration((row[6] ?? Date.now() / 1000) - row[5]) : "", row[4]]), { numbers: [3] }));
    if (head.state !== "running") {
      stop();
      if (!place.dataset.ended) announce(`Operation ${id}: ${words(head.state)}. ${head.description}`);
      place.dataset.ended = "yes";
    }
    return head.state;
  }
  if ((await load()) === "running") stop = again(load);
  return () => stop();
}
