// The map's points on a canvas. Places are in the data's units; `view` turns them into the screen's.

const GRID = 9999;
const MARGIN = 26;
const RAMP = 20; // colours that a number is shown in
const N_COLOURS = 8;
const DIM = 0.1;

// Colours stand in the style sheet alone; as the canvas's own they are those of the theme of the moment.
function readColours(canvas) {
  const read = (name) => {
    canvas.style.color = `var(--${name})`;
    return getComputedStyle(canvas).color;
  };
  const stops = [0, 1, 2, 3].map((stop) => read(`ramp${stop}`).match(/[\d.]+/g).map(Number));
  const ramp = Array.from({ length: RAMP + 1 }, (_, step) => {
    const place = (3 * step) / RAMP;
    const from = Math.min(Math.floor(place), 2);
    const mix = stops[from].slice(0, 3).map((low, part) => low + (place - from) * (stops[from + 1][part] - low));
    return `rgb(${mix.map(Math.round).join(" ")})`;
  });
  const groups = Array.from({ length: N_COLOURS + 1 }, (_, colour) => read(`g${colour}`));
  return { groups, ramp, paper: read("paper"), ink: read("ink") };
}

function makeScatter(canvas, data) {
  const context = canvas.getContext("2d");
  const shapes = data.shapes.map((outline) => new Path2D(outline));
  const widest = Math.max(1, ...data.x);
  const tallest = Math.max(1, ...data.y);
  const called = new Set(data.called);
  // Rings should lie above the crowd.
  const order = data.rows.map((_, point) => point).sort((a, b) => called.has(a) - called.has(b));
  const view = { zoom: 1, x: widest / 2, y: tallest / 2 };
  const font = `600 14px ${getComputedStyle(canvas).fontFamily}`;
  let colours = readColours(canvas);
  let sprites = new Map();
  let width = 0;
  let height = 0;
  let density = 1;

  const unit = () => view.zoom * Math.min((width - 2 * MARGIN) / widest, (height - 2 * MARGIN) / tallest);
  const crowd = data.rows.length > 2000 ? 0.62 : data.rows.length > 600 ? 0.8 : 1;
  const size = () => Math.min(1.9, crowd * view.zoom ** 0.2);
  const toScreen = (x, y) => [width / 2 + (x - view.x) * unit(), height / 2 + (y - view.y) * unit()];

  // One small picture for each look, drawn once and then stamped.
  function sprite(colour, shape, hollow) {
    const key = `${colour}/${shape}/${hollow}`;
    if (!sprites.has(key)) {
      const picture = document.createElement("canvas");
      const side = Math.ceil(20 * size() * density);
      picture.width = picture.height = side;
      const brush = picture.getContext("2d");
      brush.translate(side / 2, side / 2);
      brush.scale(size() * density, size() * density);
      brush.lineWidth = hollow ? 1.4 : 1.2;
      brush.strokeStyle = hollow ? colour : colours.paper;
      brush.fillStyle = colour;
      if (!hollow) brush.fill(shapes[shape]);
      brush.stroke(shapes[shape]);
      sprites.set(key, picture);
    }
    return sprites.get(key);
  }

  function stamp(point, look) {
    const [x, y] = toScreen(data.x[point], data.y[point]);
    if (x < -20 || y < -20 || x > width + 20 || y > height + 20) return;
    const picture = sprite(look.colour, look.shape, look.hollow);
    const side = picture.width / density;
    context.globalAlpha = look.opacity;
    context.drawImage(picture, x - side / 2, y - side / 2, side, side);
    if (called.has(point)) {
      context.beginPath();
      context.arc(x, y, 6 + 4 * size(), 0, 2 * Math.PI);
      context.stroke();
    }
  }

  function label(text, x, y) {
    context.font = font;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = colours.paper;
    context.globalAlpha = 0.9;
    context.strokeText(text, x, y);
    context.globalAlpha = 1;
    context.fillStyle = colours.ink;
    context.fillText(text, x, y);
  }

  // `lookOf` says how a point looks: colour, shape, hollow, opacity; `labels` are texts at places.
  function draw(lookOf, labels) {
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, height);
    context.strokeStyle = colours.ink;
    context.lineWidth = 1.6;
    const bright = [];
    for (const point of order) {
      const look = lookOf(point, colours);
      if (look.dim) stamp(point, { ...look, opacity: DIM });
      else bright.push([point, look]);
    }
    for (const [point, look] of bright) stamp(point, look);
    for (const { text, x, y } of labels) label(text, ...toScreen(x, y));
    context.globalAlpha = 1;
  }

  function resize() {
    const box = canvas.getBoundingClientRect();
    density = Math.min(window.devicePixelRatio || 1, 3);
    width = box.width;
    height = box.height;
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    sprites = new Map();
  }

  // Zoom so that what lies under (x, y) stays there.
  function zoomAt(factor, x = width / 2, y = height / 2) {
    const before = unit();
    view.zoom = Math.min(Math.max(view.zoom * factor, 0.5), 60);
    view.x += (x - width / 2) * (1 / before - 1 / unit());
    view.y += (y - height / 2) * (1 / before - 1 / unit());
    sprites = new Map();
  }

  function moveBy(x, y) {
    view.x = Math.min(Math.max(view.x - x / unit(), 0), widest);
    view.y = Math.min(Math.max(view.y - y / unit(), 0), tallest);
  }

  function reset() {
    Object.assign(view, { zoom: 1, x: widest / 2, y: tallest / 2 });
    sprites = new Map();
  }

  function nearest(x, y, reach, isOpen) {
    let best = -1;
    let closest = reach * reach;
    for (let point = 0; point < data.rows.length; point += 1) {
      if (!isOpen(point)) continue;
      const [px, py] = toScreen(data.x[point], data.y[point]);
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < closest) [best, closest] = [point, distance];
    }
    return best;
  }

  // The next point in a direction: the closest in a right angle around it, ways aside counting double.
  function towards(from, right, down, isOpen) {
    let best = -1;
    let shortest = Infinity;
    for (let point = 0; point < data.rows.length; point += 1) {
      const x = data.x[point] - data.x[from];
      const y = data.y[point] - data.y[from];
      const along = x * right + y * down;
      const aside = Math.abs(x * down - y * right);
      if (point === from || along <= 0 || aside > along || !isOpen(point)) continue;
      if (along + 2 * aside < shortest) [best, shortest] = [point, along + 2 * aside];
    }
    return best;
  }

  // Bring a point into sight.
  function reveal(point) {
    const [x, y] = toScreen(data.x[point], data.y[point]);
    if (x < 16 || y < 16 || x > width - 16 || y > height - 16) [view.x, view.y] = [data.x[point], data.y[point]];
  }

  function recolour() {
    colours = readColours(canvas);
    sprites = new Map();
  }

  const placeOf = (point) => toScreen(data.x[point], data.y[point]);
  return { draw, moveBy, nearest, placeOf, recolour, reset, resize, reveal, towards, zoomAt, colours: () => colours };
}
