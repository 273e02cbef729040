// Shows the values at the pointer beside the names in the legends, in all plots at once.
const { series } = JSON.parse(document.getElementById("report").textContent);
const plots = [...document.querySelectorAll("[data-over-time] .field")];
const end = series.length ? series[series.length - 1].until_s : 0;

function shown(output, point) {
  const value = output.dataset.of.split(".").reduce((it, key) => it?.[key], point);
  if (output.dataset.unit === "ms") {
    if (value === undefined) return "–";
    return value < 1000 ? `${value.toPrecision(3)} ms` : `${(value / 1000).toFixed(2)} s`;
  }
  if (output.dataset.unit === "/s") return `${((value ?? 0) / (point.until_s - point.from_s)).toFixed(1)}/s`;
  return `${value ?? 0}`;
}

function point(share) {
  const at = share * end;
  const here = series.find((it) => at < it.until_s) ?? series[series.length - 1];
  for (const plot of plots) {
    plot.style.setProperty("--at", `${(((here.from_s + here.until_s) / 2 / end) * 100).toFixed(2)}%`);
    plot.querySelector(".cursor").dataset.time = `${here.until_s.toFixed(0)} s`;
    plot.classList.add("pointed");
    const figure = plot.closest("figure");
    for (const output of figure.querySelectorAll("output")) output.textContent = shown(output, here);
  }
}

function leave() {
  for (const plot of plots) {
    plot.classList.remove("pointed");
    for (const output of plot.closest("figure").querySelectorAll("output")) output.textContent = "";
  }
}

for (const plot of series.length ? plots : []) {
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    point(Math.min(Math.max((event.clientX - box.left) / box.width, 0), 0.9999));
  });
  plot.addEventListener("pointerleave", leave);
}
