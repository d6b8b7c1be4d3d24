"use strict";
(() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const school = document.getElementById("school");
  const program = document.getElementById("program");
  const form = document.getElementById("filters");
  const MOST_BARS = 25;
  const DAY = 86400e3;
  document.body.classList.add("scripted");

  // Times: how long ago, as seen today and not when the page was made.
  const ago = (milliseconds) => {
    const minutes = Math.round(milliseconds / 60e3);
    const [count, unit] = minutes < 90 ? [minutes, "minute"] : minutes < 2880 ? [Math.round(minutes / 60), "hour"] : [Math.round(minutes / 1440), "day"];
    return count < 2 && unit === "minute" ? "just now" : `${count.toLocaleString("en")} ${unit}${count === 1 ? "" : "s"} ago`;
  };
  for (const time of document.querySelectorAll(".facts dd > time")) {
    const past = Date.now() - Date.parse(time.dateTime);
    if (past < 0) continue; // the next run
    const told = document.createElement("span");
    told.textContent = ago(past);
    time.before(told);
    time.className = "exact";
  }
  const made = Date.now() - Date.parse(document.body.dataset.made);
  if (made > document.body.dataset.oldHours * 3600e3) {
    const aged = document.getElementById("aged");
    aged.textContent = `This page is ${Math.round(made / DAY)} days old, and every publish makes a new one: see whether the sync still runs.`;
    aged.hidden = false;
  }

  // Plots: colours are the page's own, so that they follow it from light to dark.
  const colour = (name) => `var(--${name})`;
  const config = {
    aria: false, background: null, view: { stroke: null }, font: getComputedStyle(document.body).fontFamily, padding: { left: 0, right: 0, top: 4, bottom: 4 },
    axis: { labelColor: colour("soft"), titleColor: colour("soft"), labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal",
      gridColor: colour("line"), domain: false, ticks: false, labelPadding: 6, titlePadding: 10 },
    legend: { labelColor: colour("ink"), labelFontSize: 12, title: null, orient: "top", symbolSize: 80, columnPadding: 18, offset: 8 },
    text: { color: colour("ink"), fontSize: 13 },
  };
  const views = {};
  const draw = (id, spec, empty) => {
    const place = document.getElementById(id);
    if (!place) return Promise.resolve();
    views[id]?.finalize();
    delete views[id];
    if (!spec) {
      place.textContent = empty;
      return Promise.resolve();
    }
    place.textContent = "";
    const whole = { $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container", config, ...spec };
    const options = { actions: false, ast: true, renderer: "svg", defaultStyle: false, tooltip: { disableDefaultStyle: true }, logLevel: 1 };
    return window.vegaEmbed(place, whole, options).then((result) => {
      views[id] = result;
      place.firstElementChild.setAttribute("aria-hidden", "true"); // the place has the name, the table the numbers
    });
  };
  const number = (value) => value.toLocaleString("en");
  const percent = (title, more) => ({ type: "quantitative", scale: { domain: [0, 100] }, axis: { title, labelExpr: "datum.value + ' %'", tickCount: 5, ...more } });
  // One band per row: its name and what is counted stand above the bar, so that a long name fits on a phone.
  const bands = (rows, marks) => ({
    data: { values: rows }, height: 44 * rows.length,
    encoding: { y: { field: "key", type: "nominal", sort: null, axis: null, scale: { paddingInner: 0, paddingOuter: 0 } } },
    layer: [
      { mark: { type: "text", align: "left", baseline: "bottom", dy: 0, limit: { expr: "max(80, width - 120)" }, x: 0 }, encoding: { text: { field: "title" } } },
      { mark: { type: "text", align: "right", baseline: "bottom", dy: 0, x: { expr: "width" }, color: colour("soft"), fontSize: 12 }, encoding: { text: { field: "told" } } },
      ...marks,
    ],
  });

  // From the first to the last, also those in which nothing happened.
  const everyMonth = (some) => {
    const [first, last] = [some.reduce((one, other) => (one < other ? one : other), "9"), some.reduce((one, other) => (one > other ? one : other), "")];
    const all = [];
    for (let month = first; month <= last; ) {
      all.push(month);
      const next = new Date(`${month}-01T00:00:00Z`);
      next.setUTCMonth(next.getUTCMonth() + 1);
      month = next.toISOString().slice(0, 7);
    }
    return all;
  };

  const learning = () => {
    const wanted = (row) => (!school.value || row.school === school.value) && (!program.value || row.program === program.value);
    const programs = facts.programs.filter(wanted);
    const perCourse = Boolean(program.value) || programs.length === 1;
    const all = perCourse ? facts.classes.filter(wanted) : programs;
    const most = [...all].sort((one, other) => other.enrollments - one.enrollments).slice(0, MOST_BARS);
    const what = `per ${perCourse ? "course" : "program"}${all.length > most.length ? `, the ${MOST_BARS} with most learners` : ""}`;
    for (const of of document.querySelectorAll("#learning .of")) of.textContent = what;
    const completed = most.map((row, index) => ({
      key: String(index), title: row.title, none: 0, whole: 100, share: row.enrollments ? (100 * row.completed) / row.enrollments : 0,
      told: `${number(row.completed)} of ${number(row.enrollments)}`,
    }));
    const graded = most.filter((row) => row.median !== null).map((row, index) => ({
      key: String(index), title: row.title, lower: row.lower, median: row.median, upper: row.upper, told: `${Math.round(row.median)} %, ${number(row.graded)} graded`,
    }));
    const names = new Set(programs.map((row) => row.program));
    const sum = (rows, key, counts) => {
      const sums = new Map();
      for (const row of rows.filter((one) => names.has(one.program_id))) {
        const before = sums.get(row[key]) ?? Object.fromEntries(counts.map((name) => [name, 0]));
        for (const name of counts) before[name] += row[name];
        sums.set(row[key], before);
      }
      return [...sums].map(([value, counted]) => ({ [key]: value, ...counted }));
    };
    const bins = sum(facts.bins, "from", ["count"]).map((row) => ({ ...row, to: row.from + 10 }));
    const perMonth = new Map(sum(facts.months, "month", ["enrolled", "completed"]).map((row) => [row.month, row]));
    const months = everyMonth([...perMonth.keys()]).flatMap((month) =>
      ["enrolled", "completed"].map((what) => ({ month, what, count: perMonth.get(month)?.[what] ?? 0 })));
    const least = Math.min(50, ...graded.map((row) => 10 * Math.floor(row.lower / 10)));
    const few = "There are not enough final grades to sum up.";
    return [
      draw("plot-completed", completed.length && bands(completed, [
        { mark: { type: "bar", height: 8, yOffset: 10, color: colour("line") }, encoding: { x: { field: "none", ...percent(null, { grid: false, labels: false }) }, x2: { field: "whole" } } },
        { mark: { type: "bar", height: 8, yOffset: 10, color: colour("accent") }, encoding: { x: { field: "none", ...percent(null, { grid: false, labels: false }) }, x2: { field: "share" },
          tooltip: [{ field: "title", title: " " }, { field: "told", title: "completed" }] } },
      ]), "Nobody is enrolled."),
      draw("plot-grades", graded.length && bands(graded, [
        { mark: { type: "bar", height: 8, yOffset: 10, color: colour("accent-soft") }, encoding: { x: { field: "lower", ...percent(null), scale: { domain: [least, 100], zero: false } }, x2: { field: "upper" },
          tooltip: [{ field: "title", title: " " }, { field: "lower", title: "lower quarter" }, { field: "median" }, { field: "upper", title: "upper quarter" }] } },
        { mark: { type: "tick", size: 16, thickness: 3, yOffset: 10, color: colour("accent") }, encoding: { x: { field: "median", ...percent(null), scale: { domain: [least, 100], zero: false } } } },
      ]), few),
      draw("plot-bins", bins.length && {
        data: { values: bins }, height: 170, mark: { type: "bar", color: colour("accent"), binSpacing: 2 },
        encoding: { x: { field: "from", bin: { binned: true, step: 10 }, ...percent(null, { grid: false, values: [0, 20, 40, 60, 80, 100], labelFlush: true }) }, x2: { field: "to" },
          y: { field: "count", type: "quantitative", axis: { title: null, tickCount: 4, format: ",d", tickMinStep: 1 } },
          tooltip: [{ field: "from", title: "from" }, { field: "to", title: "to" }, { field: "count", title: "grades" }] },
      }, few),
      draw("plot-months", months.length && {
        data: { values: months, format: { parse: { month: "utc:'%Y-%m'" } } }, height: 170,
        mark: { type: "line", strokeWidth: 2, point: { filled: true, size: 30 } },
        encoding: {
          x: { field: "month", type: "temporal", timeUnit: "utcyearmonth", axis: { title: null, grid: false, format: "%b %Y", tickCount: 4, labelFlush: true, labelOverlap: true } },
          y: { field: "count", type: "quantitative", axis: { title: null, tickCount: 4, format: ",d", tickMinStep: 1 } },
          color: { field: "what", type: "nominal", sort: null, scale: { domain: ["enrolled", "completed"], range: [colour("accent-soft"), colour("accent")] } },
          shape: { field: "what", type: "nominal", sort: null, scale: { domain: ["enrolled", "completed"], range: ["square", "circle"] } },
          tooltip: [{ field: "month", type: "temporal", timeUnit: "utcyearmonth", title: "month" }, { field: "what", title: " " }, { field: "count" }],
        },
      }, "Nobody is enrolled."),
    ];
  };

  const runs = () => {
    const timed = facts.runs.filter((run) => run.seconds !== null);
    const states = ["good", "look", "stop"];
    const said = { good: "published", look: "skipped", stop: "stopped" };
    const there = states.filter((state) => timed.some((run) => run.state === state));
    const x = (rows) => ({ field: "at", type: "temporal", scale: { type: "utc" }, axis: { title: null, grid: false, tickCount: Math.min(4, rows.length), labelFlush: true, labelOverlap: true, format: "%-d %b", ...sameDay(rows) } });
    const sameDay = (rows) => (rows.every((run) => run.at.slice(0, 10) === rows[0].at.slice(0, 10)) ? { format: "%H:%M" } : {});
    const moves = ["added", "changed", "removed"];
    const moved = facts.runs.filter((run) => run.moved);
    const shown = moved.flatMap((run) => moves.map((what, order) => ({ run: String(run.run), what, order, count: run[what] })));
    return [
      draw("plot-seconds", timed.length && {
        data: { values: timed.map((run) => ({ ...run, state: said[run.state] })) }, height: 170, mark: { type: "point", filled: true, size: 70, opacity: 1 },
        encoding: {
          x: x(timed), y: { field: "seconds", type: "quantitative", axis: { title: null, tickCount: 4, labelExpr: "datum.label + ' s'" } },
          color: { field: "state", type: "nominal", scale: { domain: there.map((state) => said[state]), range: there.map(colour) }, legend: { symbolOpacity: 1 } },
          shape: { field: "state", type: "nominal", scale: { domain: there.map((state) => said[state]), range: there.map((state) => ({ good: "circle", look: "diamond", stop: "triangle-up" })[state]) } },
          tooltip: [{ field: "run" }, { field: "outcome" }, { field: "seconds" }],
        },
      }, "No run has told its length."),
      draw("plot-moved", shown.length && {
        data: { values: shown }, height: 170, mark: { type: "bar", width: { band: 0.7 } },
        encoding: {
          x: { field: "run", type: "ordinal", sort: null, axis: { title: "run", labelAngle: 0, labelOverlap: true, labelSeparation: 10, grid: false }, scale: { paddingInner: 0.3 } },
          y: { field: "count", type: "quantitative", axis: { title: null, tickCount: 4, format: ",d", tickMinStep: 1 } },
          color: { field: "what", type: "nominal", sort: null, scale: { domain: moves, range: ["accent", "accent-soft", "look"].map(colour) } },
          order: { field: "order" },
          tooltip: [{ field: "run" }, { field: "what", title: " " }, { field: "count", title: "rows" }],
        },
      }, "Only the first publish so far, which brought everything."),
    ];
  };

  // Filters: rows that tell another school or program are hidden; those that tell none stay.
  const filter = () => {
    for (const option of program.options) option.hidden = option.disabled = Boolean(option.value && school.value && option.dataset.school !== school.value);
    if (program.selectedOptions[0]?.disabled) program.value = "";
    const ofProgram = program.value && facts.schools[program.value];
    for (const row of document.querySelectorAll("tbody tr[data-program], tbody tr[data-school]")) {
      const others = (name, value) => Boolean(value && row.dataset[name] !== undefined && row.dataset[name] !== value);
      row.hidden = others("program", program.value) || others("school", school.value) || (row.dataset.program === undefined && others("school", ofProgram));
    }
    const programs = document.querySelectorAll("#schools tbody tr");
    const visible = [...programs].filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent = visible === programs.length ? "" : `${visible} of ${programs.length} programs`;
    return Promise.all(learning());
  };
  form.hidden = false;
  form.addEventListener("change", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());

  // On paper everything is open.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });

  Promise.all([filter(), ...runs()]).then(() => document.body.classList.add("drawn"));
})();
