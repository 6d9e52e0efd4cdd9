// What a person does with the map: colours, legend, selection, the card of a row, mouse and keys.

const byId = (id) => document.getElementById(id);
const THIN = "\u202f";
const count = (number) => number.toLocaleString("en").replaceAll(",", THIN);
const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
// As page.py writes them: never rounded to none or all.
function percent(share) {
  if (share > 0 && share < 0.001) return `<${THIN}0.1${THIN}%`;
  if (share > 0.999 && share < 1) return `>${THIN}99.9${THIN}%`;
  const digits = share < 0.0995 || (share > 0.9905 && share < 1) ? 1 : 0;
  return `${Number((100 * share).toFixed(digits))}${THIN}%`;
}
const cut = (text, limit) => ([...text].length > limit ? `${[...text].slice(0, limit).join("")}…` : text);

// Texts become text nodes and never markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function long(text, limit) {
  if ([...text].length <= limit) return make("bdi", {}, text);
  const summary = make("summary", {}, make("bdi", {}, cut(text, limit)));
  return make("details", { class: "long" }, summary, make("bdi", {}, text));
}

function marker(outline, colour, ring = false) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("class", `marker ${ring ? "ring" : `g${colour}`}`);
  svg.setAttribute("viewBox", "-8 -8 16 16");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ring ? "M-6.6 0a6.6 6.6 0 1 0 13.2 0a6.6 6.6 0 1 0-13.2 0z" : outline);
  svg.append(path);
  return svg;
}

function makeMap(data, say) {
  const map = byId("map");
  const scatter = makeScatter(byId("canvas"), data);
  const called = new Set(data.called);
  const icon = (group) => marker(data.shapes[group.shape], group.colour);
  const grey = { name: "no group", colour: N_COLOURS, shape: N_COLOURS, label: -1 };
  const groupOf = (point) => data.groups[data.group[point]] ?? grey;
  // What the map shows: `selected` is a test of points with its key; `shown` the point of the card.
  const state = { colour: "group", selected: null, shown: -1, kept: false, fade: false };
  let waiting = false;

  const shade = () => data.shades[Number(state.colour)] ?? null;
  const isOpen = (point) => state.selected === null || state.selected.holds(point);

  function colourOf(point, colours) {
    if (state.colour === "group") return colours.groups[groupOf(point).colour];
    if (state.colour === "anomaly") return colours.ramp[Math.round(RAMP * data.anomaly[point])];
    const value = shade().values[point];
    if (value === null) return null;
    if (shade().kind !== "category") return colours.ramp[Math.round((RAMP * value) / 100)];
    return colours.groups[Math.min(value, N_COLOURS)];
  }

  function lookOf(point, colours) {
    const colour = colourOf(point, colours);
    return {
      colour: colour ?? colours.groups[N_COLOURS],
      shape: groupOf(point).shape,
      hollow: colour === null,
      dim: !isOpen(point),
      opacity: state.fade ? 0.12 + 0.88 * data.faithfulness[point] : 0.92,
    };
  }

  // Names stand at the group's middle row, which lies among its rows even where the group is bent.
  const labels = data.groups.flatMap((group, place) => {
    const points = data.rows.map((_, point) => point).filter((point) => data.group[point] === place);
    if (group.label < 0 || !points.length) return [];
    const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
    const [mx, my] = [data.x, data.y].map((side) => median(points.map((point) => side[point])));
    const away = (point) => (data.x[point] - mx) ** 2 + (data.y[point] - my) ** 2;
    const middle = points.reduce((best, point) => (away(point) < away(best) ? point : best));
    const [x, y] = [data.x[middle], data.y[middle]];
    const text = data.groups.length > 9 ? group.name.replace(/^group /, "") : group.name;
    return [{ text: cut(text, 16), x, y, place }];
  });

  function draw() {
    waiting = false;
    const isNamed = ({ place }) => !state.selected?.key.startsWith("group") || state.selected.key === `group ${place}`;
    const texts = labels.filter(isNamed);
    scatter.draw(lookOf, state.colour === "group" ? texts : []);
    placeCursor();
  }

  function redraw() {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  }

  function placeCursor() {
    const cursor = byId("cursor");
    cursor.hidden = state.shown < 0;
    cursor.classList.toggle("kept", state.kept);
    if (state.shown < 0) return;
    const [x, y] = scatter.placeOf(state.shown);
    cursor.style.transform = `translate(${x}px, ${y}px)`;
  }

  function fact(name, ...values) {
    return make("div", {}, make("dt", {}, name), make("dd", {}, ...values));
  }

  function fillCard(point) {
    const card = byId("card");
    if (point < 0) {
      const text = "Point at a row to read it, or walk among rows with the arrow keys.";
      card.replaceChildren(make("p", { class: "soft" }, text));
      delete card.dataset.row;
      return;
    }
    const row = data.rows[point];
    const group = groupOf(point);
    const texts = data.cells[row] ?? [];
    const reasons = data.reasons[row] ?? [];
    const facts = make(
      "dl",
      { class: "facts" },
      group.label < 0 ? null : fact("Membership", percent(data.membership[point])),
      fact("Anomaly", `${percent(data.anomaly[point])}${called.has(point) ? ", looks wrong" : ""}`),
    );
    const value = (text) => (text ? long(text, 80) : make("span", { class: "absent" }));
    const cells = texts.map((text, place) => fact(long(data.names[place], 40), value(text)));
    const told = reasons.map((reason) => make("li", {}, long(reason, 200)));
    card.dataset.row = String(row);
    card.replaceChildren(
      make("h3", {}, `Row ${row + 1}`, state.kept ? make("span", { class: "pin" }, "kept; Esc lets go") : ""),
      make("div", { class: "of" }, icon(group), make("span", {}, long(group.name, 40))),
      facts,
      told.length ? make("ul", { class: "reasons" }, ...told) : "",
      cells.length ? make("dl", { class: "cells" }, ...cells) : "",
    );
  }

  function show(point, kept = false) {
    const changed = point !== state.shown || kept !== state.kept;
    Object.assign(state, { shown: point, kept });
    if (changed) fillCard(point);
    placeCursor();
  }

  // Keys have no eyes on the card: what it says is told.
  function tell(point) {
    const row = data.rows[point];
    const cell = (text, place) => `${cut(data.names[place], 30)} ${cut(text, 40) || "no value"}`;
    const texts = (data.cells[row] ?? []).slice(0, 6).map(cell);
    say([`row ${row + 1}`, groupOf(point).name, `anomaly ${percent(data.anomaly[point])}`, ...texts].join(", "));
  }

  function select(key, name, holds) {
    state.selected = key === null || state.selected?.key === key ? null : { key, holds };
    const n = data.rows.filter((_, point) => isOpen(point)).length;
    say(state.selected ? `${name} selected: ${counted(n, "point")}; others are dimmed` : "all points are shown");
    for (const button of document.querySelectorAll("#legend button")) {
      button.setAttribute("aria-pressed", String(button.dataset.key === state.selected?.key));
    }
    const place = state.selected?.key.match(/^group (\d+)$/)?.[1];
    for (const card of document.querySelectorAll(".group")) {
      const chosen = place !== undefined && Number(card.dataset.group) === data.groups[place].label;
      card.classList.toggle("selected", chosen);
      card.querySelector(".show")?.setAttribute("aria-pressed", String(chosen));
    }
    redraw();
  }

  function entry(key, name, picture, holds) {
    const n = data.rows.filter((_, point) => holds(point)).length;
    const number = make("span", { class: "number soft" }, count(n));
    const text = make("span", { class: "name" }, cut(name, 60));
    const button = make("button", { type: "button", "aria-pressed": "false", "data-key": key }, picture, text, number);
    button.addEventListener("click", () => select(key, cut(name, 60), holds));
    return n ? button : null;
  }

  const selectGroup = (label) => {
    const place = data.groups.findIndex((group) => group.label === label);
    if (place >= 0) select(`group ${place}`, data.groups[place].name, (point) => data.group[point] === place);
  };

  function scale(low, high) {
    const ends = [make("span", {}, low), make("span", {}, high)];
    return make("div", { class: "scale" }, make("span", { class: "ramp" }), ...ends);
  }

  function legendEntries() {
    const ring = entry("called", "looks wrong", marker("", 0, true), (point) => called.has(point));
    if (state.colour === "anomaly") return [scale(percent(0), percent(1)), ring];
    if (state.colour === "group") {
      const groups = data.groups.map((group, place) =>
        entry(`group ${place}`, group.name, icon(group), (point) => data.group[point] === place));
      return [...groups, ring];
    }
    const { kind, values, levels, low, high } = shade();
    const none = entry("none", "no value", make("span", { class: "hollow" }), (point) => values[point] === null);
    if (kind !== "category") {
      const day = (number) => new Date(864e5 * number).toISOString().slice(0, 10);
      const text = (number) => (kind === "date" ? day(number) : String(Number(number.toPrecision(4))));
      return [scale(`${text(low)} or less`, `${text(high)} or more`), none, ring];
    }
    const dot = (colour) => marker(data.shapes[0], colour);
    const named = levels.slice(0, N_COLOURS).map((level, place) =>
      entry(`level ${place}`, level || "(empty)", dot(place), (point) => values[point] === place));
    const rest = counted(levels.length - N_COLOURS, "other level");
    const others = entry("others", rest, dot(N_COLOURS), (point) => values[point] >= N_COLOURS);
    return [...named, others, none, ring];
  }

  function colourBy(name) {
    state.colour = name;
    byId("legend").replaceChildren(...legendEntries().filter((part) => part !== null));
    select(null, "", null);
  }

  function goTo(row) {
    const point = data.rows.indexOf(row);
    if (point < 0) return;
    if (!isOpen(point)) select(null, "", null);
    scatter.reveal(point);
    redraw();
    show(point, true);
    tell(point);
    map.focus({ preventScroll: true });
    byId("map-title").scrollIntoView();
  }

  const repaint = () => { scatter.recolour(); draw(); };
  listen(map, scatter, data, state, { draw, isOpen, redraw, select, show, tell });
  byId("colour").addEventListener("change", (event) => colourBy(event.target.value));
  byId("fade").addEventListener("change", (event) => { state.fade = event.target.checked; redraw(); });
  new ResizeObserver(() => { scatter.resize(); draw(); }).observe(map);
  scatter.resize();
  colourBy("group");
  return { goTo, repaint, selectGroup };
}
