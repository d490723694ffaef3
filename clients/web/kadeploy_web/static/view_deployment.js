// One deployment: how far each step is, what failed and why, every node, and what happened.

import { follow, get } from "./api.js";
import { announce, bytes, clock, duration, h, moment, table, words } from "./dom.js";
import { NodeGrid } from "./grid.js";
import { post, who } from "./session.js";
import { RUNNING, STEPS, deploymentBadge, label, nodeBadge, stateBar, stateLegend } from "./states.js";

const SHOWN_ROWS = 200;

export async function showDeployment(place, id) {
  let head;
  let grid;
  const rows = new Map();
  const cancel = h("button", { type: "button", class: "danger", hidden: true, onclick: () => confirmCancel(id) }, "Cancel …");
  const facts = h("dl", { class: "facts" });
  const bar = h("div", {});
  const counts = h("p", { class: "small legend" });
  const steps = h("tbody", {});
  const failures = h("div", {});
  const failed = h("section", { class: "panel", "aria-labelledby": "failures", hidden: true }, h("h2", { id: "failures" }, "Failures"), failures);
  const cells = h("div", {});
  const under = h("p", { class: "under small", "aria-hidden": "true" });
  const log = h("ol", { class: "log", tabindex: 0, "aria-label": "What happened" });
  const happened = h("section", { class: "panel", "aria-labelledby": "log", hidden: true }, h("h2", { id: "log" }, "What happened"), log);
  const filter = h("input", { type: "search", placeholder: "name, state, step or reason", autocomplete: "off", oninput: () => showRows() });
  const list = h("div", {});
  place.append(
    h("div", { class: "row between" }, h("h1", {}, "Deployment ", h("span", { class: "mono" }, id)), cancel),
    h("div", { class: "columns" },
      h("section", { class: "panel", "aria-label": "Overview" }, facts),
      h("section", { class: "panel", "aria-labelledby": "steps" }, h("h2", { id: "steps" }, "Steps"), bar, counts,
        h("table", { class: "steps" }, h("caption", { class: "unseen" }, "Nodes by step"),
          h("thead", {}, h("tr", {}, ["Step", "", "Done", "In it", "Failed"].map((name, index) => h("th", { scope: "col", class: index > 1 ? "number" : undefined }, name || h("span", { class: "unseen" }, "Progress"))))), steps))),
    failed,
    h("section", { class: "panel", "aria-labelledby": "nodes" }, h("h2", { id: "nodes" }, "Nodes"), cells, under,
      h("details", {}, h("summary", {}, "As a table"), h("label", { class: "row" }, "Filter", filter), list)),
    happened);

  function describe(row) {
    return [row[2] && `step ${words(row[2])}`, row[6] && words(row[6])].filter(Boolean).join(", ");
  }

  function take(content, whole) {
    head = content.head;
    for (const row of content.rows) rows.set(row[0], row);
    if (whole) {
      grid = new NodeGrid({ describe, total: rows.size, onFocus: (row) => { under.textContent = `${row[0]}: ${label(row[1])}${describe(row) ? `, ${describe(row)}` : ""}. ${row[7]}`; } });
      cells.replaceChildren(grid.group("Nodes of the deployment; arrow keys move between them", content.rows));
      log.replaceChildren();
    } else grid.update(content.rows);
    showHead();
    showSummary(content.summary);
    addLines(content.lines);
    if (list.closest("details").open) showRows();
  }

  function showHead() {
    cancel.hidden = !who().may_change || !RUNNING.includes(head.state);
    const until = head.ended ?? Date.now() / 1000;
    const all = [["State", deploymentBadge(head.state)], ["Environment", head.environment], ["Nodes", h("span", { class: "mono" }, head.nodes)], ["Partition", head.partition],
      ["Owner", head.owner], ["Created", moment(head.created)], ["Time", head.started ? duration(until - head.started) : "waits for its nodes"],
      ["Image", head.image_bytes ? bytes(head.image_bytes) : ""], ["How it ended", RUNNING.includes(head.state) ? "" : head.description]];
    facts.replaceChildren(...all.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  }

  function showSummary(summary) {
    const total = rows.size || 1;
    bar.replaceChildren(stateBar(summary.states, total));
    const copied = summary.total ? h("span", {}, `${bytes(summary.done)} of ${bytes(summary.total)} copied`) : "";
    counts.replaceChildren(...stateLegend(summary.states), copied);
    showSteps(total);
    failed.hidden = !summary.failures.length;
    failures.replaceChildren(...summary.failures.map((failure) => h("div", { class: "failure" },
      h("strong", {}, `${failure.count} × ${words(failure.reason) || "failed"}`), failure.step ? ` in step ${words(failure.step)}` : "", failure.time ? h("span", { class: "faint small" }, ` · ${clock(failure.time)}`) : "",
      h("p", { class: "mono" }, h("a", { href: `/?nodes=${encodeURIComponent(failure.nodes)}` }, failure.nodes)), h("p", { class: "small" }, failure.description))));
  }

  function showSteps(total) {
    const at = new Map();
    for (const row of rows.values()) if (!at.has(row[2])) at.set(row[2], 0);
    const names = [...STEPS, ...[...at.keys()].filter((name) => name && !STEPS.includes(name))];
    const passed = new Array(names.length).fill(0);
    const inside = new Array(names.length).fill(0);
    const broken = new Array(names.length).fill(0);
    for (const row of rows.values()) {
      const here = names.indexOf(row[2]);
      const done = row[1] === "deployed" ? names.length : Math.max(here, 0);
      for (let index = 0; index < done; index += 1) passed[index] += 1;
      if (row[1] === "error" && here >= 0) broken[here] += 1;
      else if (row[1] !== "deployed" && here >= 0) inside[here] += 1;
    }
    steps.replaceChildren(...names.map((name, index) => {
      const parts = h("div", { class: "bar", "aria-hidden": "true" });
      for (const [state, count] of [["deployed", passed[index]], ["deploying", inside[index]], ["error", broken[index]]]) {
        if (!count) continue;
        const part = h("span", { class: `s-${state}` });
        part.style.setProperty("width", `${(100 * count) / total}%`);
        parts.append(part);
      }
      return h("tr", { class: inside[index] ? "now" : undefined }, h("th", { scope: "row" }, words(name)), h("td", {}, parts),
        ...[passed, inside, broken].map((numbers) => h("td", { class: "number" }, numbers[index] || h("span", { class: "faint" }, "0"))));
    }));
  }

  function addLines(lines) {
    for (const [time, node, text] of lines) {
      log.prepend(h("li", {}, h("span", { class: "faint number" }, clock(time)), node ? h("a", { href: `/nodes/${encodeURIComponent(node)}` }, node) : h("span", { class: "faint" }, "all"), h("span", {}, text)));
    }
    while (log.childElementCount > SHOWN_ROWS) log.lastElementChild.remove();
    happened.hidden = !log.childElementCount;
  }

  function showRows() {
    const text = filter.value.trim().toLowerCase();
    const matching = [...rows.values()].filter((row) => !text || [row[0], label(row[1]), words(row[2]), words(row[6])].some((word) => word.includes(text)));
    const shown = matching.slice(0, SHOWN_ROWS);
    list.replaceChildren(
      table("Nodes of the deployment", ["Node", "State", "Step", "Attempt", "Time", "Why"], shown.map((row) => [
        h("a", { href: `/nodes/${encodeURIComponent(row[0])}` }, row[0]), nodeBadge(row[1]), words(row[2]), row[3] || "",
        row[8] ? duration((row[9] ?? Date.now() / 1000) - row[8]) : "", row[7]]), { numbers: [3, 4], narrow: [3], empty: "No node is like this." }),
      h("p", { class: "small faint" }, matching.length > shown.length ? `${shown.length} of ${matching.length} nodes` : ""));
  }

  list.closest("details").addEventListener("toggle", showRows);
  const first = await get(`/deployments/${encodeURIComponent(id)}/view`);
  take(first, true);
  if (!RUNNING.includes(head.state)) return undefined;
  const timer = setInterval(showHead, 1000);
  const unfollow = follow(`/deployments/${encodeURIComponent(id)}/events`, {
    snapshot: (content) => { rows.clear(); take(content, true); },
    change: (content) => take(content, false),
    end: async ({ trouble }) => {
      stop();
      if (trouble) counts.textContent = trouble;
      const last = await get(`/deployments/${encodeURIComponent(id)}/view`);
      take({ ...last, lines: [] }, false);
      announce(`Deployment ${id} ended: ${words(head.state)}. ${head.description}`);
    },
  });
  function stop() {
    clearInterval(timer);
    unfollow();
  }
  return stop;
}

function confirmCancel(id) {
  const reason = h("input", { maxlength: 200, autocomplete: "off", placeholder: "kept with the deployment" });
  const message = h("p", { class: "message", role: "alert", hidden: true });
  const dialog = h("dialog", { "aria-labelledby": "cancel-title" },
    h("form", { onsubmit: async (event) => {
      event.preventDefault();
      try {
        await post(`/deployments/${encodeURIComponent(id)}/cancel`, { reason: reason.value.trim() });
        dialog.close();
      } catch (error) {
        message.textContent = error.message;
        message.hidden = false;
      }
    } },
    h("h2", { id: "cancel-title" }, "Cancel this deployment?"),
    h("p", {}, "Nodes that are not deployed yet stop where they are and are left bootable; what is on their target partition is lost."),
    h("label", { class: "row" }, "Reason", reason), message,
    h("div", { class: "actions" }, h("button", { type: "button", onclick: () => dialog.close() }, "Let it go on"), h("button", { type: "submit", class: "danger" }, "Cancel the deployment"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
