// Mouse, touch and keys on the map; the page around it; the theme; printing.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const REACH = 24; // pixels from which a point is felt
const HINT = 1600; // milliseconds

function listen(map, scatter, data, state, act) {
  const pointers = new Map();
  let moved = 0;
  let hintTimer = 0;
  const at = (event) => {
    const box = map.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const zoom = (factor, x, y) => { scatter.zoomAt(factor, x, y); act.redraw(); };
  const reset = () => { scatter.reset(); act.redraw(); };
  const letGo = () => { act.show(-1); act.select(null, "", null); };

  map.addEventListener("wheel", (event) => {
    // A page that is scrolled past the map should scroll on.
    if (document.activeElement !== map && !event.ctrlKey && !event.metaKey) {
      byId("hint").hidden = false;
      clearTimeout(hintTimer);
      hintTimer = setTimeout(() => { byId("hint").hidden = true; }, HINT);
      return;
    }
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), ...at(event));
  }, { passive: false });

  map.addEventListener("pointerdown", (event) => {
    map.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    moved = 0;
  });
  map.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      if (!state.kept) act.show(scatter.nearest(x, y, REACH, act.isOpen));
      return;
    }
    moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const gap = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]) || 1;
      scatter.zoomAt(gap([x, y]) / gap(before), (x + other[0]) / 2, (y + other[1]) / 2);
    }
    const share = other ? 0.5 : 1;
    scatter.moveBy(share * (x - before[0]), share * (y - before[1]));
    pointers.set(event.pointerId, [x, y]);
    act.redraw();
  });
  map.addEventListener("pointerup", (event) => {
    pointers.delete(event.pointerId);
    if (moved > 5) return;
    const point = scatter.nearest(...at(event), REACH, act.isOpen);
    act.show(point, point >= 0 && !(state.kept && point === state.shown));
  });
  map.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
  map.addEventListener("dblclick", (event) => zoom(2, ...at(event)));
  map.addEventListener("pointerleave", () => { if (!state.kept && document.activeElement !== map) act.show(-1); });

  function walk(right, down) {
    const open = data.rows.map((_, point) => point).filter(act.isOpen);
    const next = state.shown < 0 ? open[0] ?? -1 : scatter.towards(state.shown, right, down, act.isOpen);
    if (next >= 0) stand(next);
  }
  function stand(point) {
    scatter.reveal(point);
    act.draw();
    act.show(point);
    act.tell(point);
  }
  function toEnd(first) {
    const open = data.rows.map((_, point) => point).filter(act.isOpen).sort((a, b) => data.rows[a] - data.rows[b]);
    if (open.length) stand(open.at(first ? 0 : -1));
  }
  map.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow && event.shiftKey) { scatter.moveBy(-60 * arrow[0], -60 * arrow[1]); act.redraw(); }
    else if (arrow) walk(...arrow);
    else if (event.key === "Home" || event.key === "End") toEnd(event.key === "Home");
    else if (event.key === "+" || event.key === "=") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else if (event.key === "0") reset();
    else if (event.key === "Escape") letGo();
    else if (event.key === "Enter" && state.shown >= 0) act.show(state.shown, !state.kept);
    else return;
    event.preventDefault();
  });
  byId("zoom-in").addEventListener("click", () => zoom(1.4));
  byId("zoom-out").addEventListener("click", () => zoom(1 / 1.4));
  byId("reset").addEventListener("click", reset);
}

function wire(explorer) {
  // Whoever marks text to copy it has chosen nothing.
  const isBare = (event) => !event.target.closest("button, summary, a") && getSelection().isCollapsed;
  for (const card of document.querySelectorAll(".group")) {
    const label = Number(card.dataset.group);
    const button = card.querySelector(".show");
    button.hidden = false;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      explorer.selectGroup(label);
      if (card.classList.contains("selected")) byId("map-title").scrollIntoView();
    });
    card.addEventListener("click", (event) => {
      if (isBare(event)) explorer.selectGroup(label);
    });
  }
  for (const line of document.querySelectorAll("tr[data-row]")) {
    const button = line.querySelector("button.link");
    if (!button) continue;
    line.classList.add("open");
    line.addEventListener("click", (event) => {
      if (event.target.closest("button.link") || isBare(event)) explorer.goTo(Number(line.dataset.row));
    });
  }
}

function themes(explorer) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const settle = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
    explorer?.repaint();
  };
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; settle(); });
  system.addEventListener("change", settle);
  settle();
}

// Paper has no folds: all is unfolded for it, but for texts that were cut for their length.
function printing(explorer) {
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll("details:not([open], .long)")];
    for (const fold of unfolded) fold.open = true;
    // The map is drawn before the page takes the colours of paper.
    document.documentElement.dataset.printing = "";
    explorer?.repaint();
  });
  addEventListener("afterprint", () => {
    for (const fold of unfolded) fold.open = false;
    delete document.documentElement.dataset.printing;
    explorer?.repaint();
  });
}

const block = byId("data");
const say = (text) => { byId("live").textContent = text; };
const explorer = block ? makeMap(JSON.parse(block.textContent), say) : null;
if (explorer) wire(explorer);
themes(explorer);
printing(explorer);
