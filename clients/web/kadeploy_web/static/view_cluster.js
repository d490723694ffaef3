// The cluster as a grid, and what runs on it.

import { follow, get } from "./api.js";
import { duration, h, words } from "./dom.js";
import { NodeGrid } from "./grid.js";
import { NODE_STATES, deploymentBadge, label, stateBar, stateCounts, swatch } from "./states.js";

export async function showCluster(place) {
  const wanted = new URLSearchParams(location.search);
  let chosen = wanted.get("state") ?? "";
  let names = null;
  let grid;
  const counted = h("ul", { class: "chips", "aria-label": "States" });
  const found = h("p", { class: "small faint", role: "status" });
  const input = h("input", { type: "search", id: "nodes", name: "nodes", placeholder: "node-[1-20],gpu-3", value: wanted.get("nodes") ?? "",
    autocomplete: "off", spellcheck: "false", "aria-describedby": "nodes-help" });
  const form = h("form", { class: "row search", role: "search", onsubmit: (event) => { event.preventDefault(); search(); } },
    h("label", { for: "nodes" }, "Nodes"), input, h("button", { type: "submit" }, "Search"),
    h("button", { type: "button", onclick: () => { input.value = ""; chosen = ""; search(); } }, "All"),
    h("span", { id: "nodes-help", class: "unseen" }, "A node set, such as node-[1-20],gpu-3"));
  const groups = h("div", { class: "view-groups" });
  groups.style.setProperty("display", "contents");
  const under = h("p", { class: "under small", "aria-hidden": "true" });
  const cards = h("div", { class: "cards" });
  const running = h("section", { class: "panel", "aria-labelledby": "running", hidden: true },
    h("h2", { id: "running" }, "Running deployments"), cards);
  place.append(h("h1", {}, "Cluster"), running,
    h("section", { class: "panel", "aria-label": "Search and states" }, form, h("div", { class: "row between" }, counted), found), groups);

  function describe(row) {
    return [row[3], row[4] && words(row[4])].filter(Boolean).join(", ");
  }

  function tell(row) {
    under.textContent = `${row[0]}: ${label(row[1])}${describe(row) ? `, ${describe(row)}` : ""}${row[2] ? ` · ${row[2]}` : ""}`;
  }

  async function load() {
    const site = await get("/cluster");
    const total = site.clusters.reduce((sum, cluster) => sum + cluster.nodes.length, 0);
    grid = new NodeGrid({ describe, total, onFocus: tell });
    groups.replaceChildren(...site.clusters.map((cluster) => h("section", { class: "panel", "data-cluster": cluster.name },
      h("h2", {}, cluster.name, h("span", { class: "faint small" }, ` · ${cluster.nodes.length} nodes`)),
      grid.group(`Nodes of cluster ${cluster.name}; arrow keys move between them`, cluster.nodes))));
    if (!total) groups.replaceChildren(h("p", { class: "panel" }, "No node is registered yet."));
    else groups.lastElementChild.append(under);
    filter();
  }

  function count() {
    const counts = grid.counts();
    const buttons = NODE_STATES.filter((state) => counts[state] || state === chosen).map((state) => h("li", {},
      h("button", { type: "button", class: "chip", "aria-pressed": String(state === chosen), onclick: () => { chosen = chosen === state ? "" : state; remember(); filter(state); } },
        swatch(state), `${counts[state] ?? 0} ${label(state)}`)));
    const focused = counted.contains(document.activeElement) ? [...counted.children].findIndex((item) => item.contains(document.activeElement)) : -1;
    counted.replaceChildren(...buttons);
    if (focused >= 0) counted.children[focused]?.firstElementChild.focus();
  }

  function filter() {
    count();
    const shown = grid.filter((row) => (!chosen || row[1] === chosen) && (!names || names.has(row[0])));
    found.textContent = chosen || names ? `${shown} of ${grid.rows.size} nodes` : "";
  }

  function remember() {
    const query = new URLSearchParams();
    if (input.value.trim()) query.set("nodes", input.value.trim());
    if (chosen) query.set("state", chosen);
    const text = query.toString();
    history.replaceState(null, "", text ? `/?${text}` : "/");
  }

  async function search() {
    const text = input.value.trim();
    input.removeAttribute("aria-invalid");
    remember();
    if (!text) {
      names = null;
      filter();
      return;
    }
    try {
      const answer = await get("/node-set", { nodes: text });
      names = new Set(answer.nodes);
      filter();
      if (answer.unknown.length) {
        const first = answer.unknown.slice(0, 3).join(", ");
        found.textContent += ` · not registered: ${first}${answer.unknown.length > 3 ? ` and ${answer.unknown.length - 3} more` : ""}`;
      }
    } catch (error) {
      input.setAttribute("aria-invalid", "true");
      found.textContent = error.message;
    }
  }

  const known = new Map();
  function showCard(deployment) {
    const total = Object.values(deployment.summary.states).reduce((sum, one) => sum + one, 0);
    const step = Object.entries(deployment.summary.steps).sort((a, b) => b[1] - a[1])[0]?.[0];
    const spent = deployment.started ? duration(Date.now() / 1000 - deployment.started) : "";
    const card = h("article", { class: "card" },
      h("div", { class: "row between" }, h("a", { href: `/deployments/${deployment.id}`, class: "mono" }, deployment.id), deploymentBadge(deployment.state)),
      h("div", {}, `${deployment.environment} on ${total} nodes, by ${deployment.owner}`),
      stateBar(deployment.summary.states, total || 1),
      h("div", { class: "small faint" }, stateCounts(deployment.summary.states), step ? ` · most in step ${words(step)}` : "", spent ? ` · ${spent}` : ""));
    const before = known.get(deployment.id);
    if (before) before.replaceWith(card);
    else cards.append(card);
    known.set(deployment.id, card);
    running.hidden = false;
    if (!["waiting", "deploying"].includes(deployment.state)) {
      setTimeout(() => {
        card.remove();
        known.delete(deployment.id);
        running.hidden = !known.size;
      }, 8000);
    }
  }

  await load();
  if (input.value.trim()) await search();
  return follow("/events", {
    nodes: (rows) => { grid.update(rows); filter(); },
    deployment: showCard,
    deployments: (list) => list.forEach(showCard),
    reload: async () => {
      await load();
      // A node that was looked for in vain may be there now.
      await search();
    },
    trouble: (text) => { found.textContent = text; },
  });
}
