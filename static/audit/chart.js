// The course of an audit: most defects not ruled out after each draw, in percent, and what is tolerated.
// The page works without it: the numbers stand in a table.

const HEIGHT = 260;

function colour(name) {
  // canvas does not know light-dark(): a throw-away element resolves it
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

// Of a logarithmic axis only 1, 2, 5, 10 .. are drawn.
function round(splits) {
  return splits.map((split) => ([1, 2, 5].includes(Number((split / 10 ** Math.floor(Math.log10(split))).toPrecision(3))) ? split : null));
}

function percent(share) {
  return share >= 10 ? `${Math.round(share)} %` : `${Number(share.toPrecision(2))} %`;
}

let chart = null;

function draw() {
  const box = document.getElementById("audit-chart");
  if (!box || typeof uPlot === "undefined") return;
  const rows = Number(box.dataset.rows);
  const tolerated = (100 * Number(box.dataset.tolerance)) / rows;
  const bounds = JSON.parse(box.dataset.bounds);
  const smallest = 50 / rows; // half a row, where a logarithm needs something above nothing
  const draws = bounds.map((_, index) => index + 1);
  const shares = bounds.map((bound) => Math.max(smallest, (100 * bound) / rows));
  const axis = { stroke: colour("--text-2"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  chart?.destroy();
  box.replaceChildren();
  chart = new uPlot(
    {
      width: box.clientWidth,
      height: HEIGHT,
      cursor: { drag: { x: false, y: false } },
      legend: { live: true },
      scales: { x: { time: false }, y: { distr: 3, range: (_, low) => [Math.min(low, tolerated || low) / 1.5, 100] } },
      axes: [
        { ...axis, label: "draws read", labelSize: 20 },
        { ...axis, size: 56, filter: (_, splits) => round(splits), grid: { ...axis.grid, filter: (_, splits) => round(splits) }, ticks: { ...axis.ticks, filter: (_, splits) => round(splits) }, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : percent(tick))) },
      ],
      series: [
        { label: "draw" },
        { label: "not ruled out", stroke: colour("--accent"), width: 2, points: { show: draws.length < 2 }, value: (_, share) => (share == null ? "–" : percent(share)) },
        { label: "tolerated", stroke: colour("--ok"), width: 1.5, dash: [6, 4], points: { show: false }, value: (_, share) => (share == null ? "–" : percent(share)) },
      ],
    },
    [draws, shares, draws.map(() => Math.max(smallest, tolerated))],
    box,
  );
}

draw();
document.addEventListener("htmx:after:swap", draw);
window.addEventListener("resize", () => chart?.setSize({ width: document.getElementById("audit-chart").clientWidth, height: HEIGHT }));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
