// Answers drawn on a picture. `unit` is the size of a CSS pixel in the picture's pixels.

const GOLDEN = 137.50776; // degrees: hues of neighbouring numbers never come near one another

/** Returns sRGB of lightness (0..1), chroma and hue (degrees), by OKLab (Ottosson, 2020). */
function fromLch(lightness, chroma, hue) {
  const angle = (hue * Math.PI) / 180, a = chroma * Math.cos(angle), b = chroma * Math.sin(angle);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
  ].map((value) => {
    const linear = Math.max(0, Math.min(1, value));
    return Math.round(255 * (linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055));
  });
}

/** Returns the colour of a class, [red, green, blue], as bright and strong as that of any other. */
export function classColour(number) {
  const step = Math.floor(number / 8) % 3;
  return fromLch([0.74, 0.64, 0.82][(step + 3) % 3], 0.16, 250 + number * GOLDEN);
}

export const css = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;

const FONT = "system-ui, sans-serif";

function pill(context, unit, x, y, text, colour) {
  context.font = `600 ${13 * unit}px ${FONT}`;
  const width = context.measureText(text).width + 12 * unit, height = 20 * unit;
  const { a, e, f } = context.getTransform(), right = context.canvas.width / a, bottom = context.canvas.height / a;
  const left = Math.max(-e / a, Math.min(x, right - width)), top = Math.max(-f / a, Math.min(y, bottom - height));
  context.fillStyle = css(colour, 0.92);
  context.beginPath();
  context.roundRect(left, top, width, height, 5 * unit);
  context.fill();
  context.fillStyle = "#0b1220";
  context.textBaseline = "middle";
  context.fillText(text, left + 6 * unit, top + height / 2 + 0.5 * unit);
}

export function drawWord(context, unit, name, share) {
  const [left, bottom] = [10 * unit, context.canvas.height / context.getTransform().a - 34 * unit];
  pill(context, 1.15 * unit, left, bottom, `${name}  ${share}`, [238, 243, 252]);
}

export function drawBoxes(context, unit, boxes) {
  context.lineJoin = "round";
  for (const { box: [left, top, right, bottom], colour, keypoints } of boxes) {
    context.lineWidth = 2.5 * unit;
    context.strokeStyle = css(colour);
    context.strokeRect(left, top, right - left, bottom - top);
    context.fillStyle = css(colour);
    for (const [x, y] of keypoints) dot(context, x, y, 3.5 * unit);
  }
  for (const { box: [left, top], colour, name, share } of boxes) {
    pill(context, unit, left - 1.25 * unit, top - 21 * unit, `${name} ${Math.round(100 * share)} %`, colour);
  }
}

function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function layer(width, height, paint) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  paint(image.data);
  context.putImageData(image, 0, 0);
  return canvas;
}

export function drawMask(context, { classes, width, height }, rows, size) {
  const colours = new Map(rows.filter(({ colour }) => colour).map(({ number, colour }) => [number, colour]));
  const canvas = layer(width, height, (data) => {
    classes.forEach((number, i) => {
      const colour = colours.get(number);
      if (colour) data.set([...colour, 140], 4 * i);
    });
  });
  context.drawImage(canvas, 0, 0, ...size);
}

/** Draws what an input-sized picture shows at its place, without a letterbox's border. */
function laid(context, canvas, place) {
  const [[a, b, c], [d, e, f]] = place.matrix;
  const sx = place.side[1] / canvas.width, sy = place.side[0] / canvas.height;
  context.save();
  context.transform(a, d, b, e, c, f);
  context.drawImage(canvas, 0, 0, canvas.width * sx, canvas.height * sy);
  context.restore();
}

export function drawPicture(context, { data, width, height }, place) {
  laid(context, layer(width, height, (to) => to.set(data)), place);
}

export function drawHeat(context, { shares, width, height }, place) {
  const table = Array.from({ length: 256 }, (_, i) => fromLch(0.25 + (0.67 * i) / 255, 0.11 + (0.05 * i) / 255, 305 - (200 * i) / 255));
  laid(context, layer(width, height, (to) => {
    shares.forEach((share, i) => to.set([...table[Math.round(255 * Math.max(0, Math.min(1, share)))], 255], 4 * i));
  }), place);
}

let mesh = { count: -1, pairs: [] };

export function drawPoints(context, unit, points, depth, seen, skeleton) {
  const shown = points.filter((_, i) => seen[i]);
  if (!shown.length) return;
  const xs = shown.map(([x]) => x), ys = shown.map(([, y]) => y);
  const size = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
  const width = Math.max(0.6 * unit, Math.min(2.5 * unit, size / 80));
  context.lineCap = context.lineJoin = "round";
  if (skeleton.dense) {
    // The mesh of a face is that of the first one seen: it does not flicker, and costs nothing later.
    if (mesh.count !== points.length) mesh = { count: points.length, pairs: neighbours(points, depth) };
    context.strokeStyle = "rgb(235 242 250 / 0.6)";
    context.lineWidth = 0.45 * width;
    context.beginPath();
    for (const [a, b] of mesh.pairs) {
      if (!seen[a] || !seen[b]) continue;
      context.moveTo(...points[a]);
      context.lineTo(...points[b]);
    }
    context.stroke();
  }
  for (const chain of skeleton.chains) drawChain(context, points, seen, chain, width);
  if (!skeleton.dense) drawDots(context, points, seen, skeleton.chains, width);
}

function drawChain(context, points, seen, { points: chain, number, closed }, width) {
  context.strokeStyle = css(classColour(number));
  context.lineWidth = width;
  context.beginPath();
  let joined = false;
  for (const i of closed ? [...chain, chain[0]] : chain) {
    if (seen[i] && points[i]) context[joined ? "lineTo" : "moveTo"](...points[i]);
    joined = Boolean(seen[i] && points[i]); // a point that is not seen breaks the line
  }
  context.stroke();
}

function drawDots(context, points, seen, chains, width) {
  const colours = new Map(chains.flatMap(({ points: chain, number }) => chain.map((i) => [i, number])));
  points.forEach(([x, y], i) => {
    context.fillStyle = css(classColour(colours.get(i) ?? 0));
    if (seen[i]) dot(context, x, y, 1.3 * width);
  });
}

/** Returns pairs of points with no other inside of the ball over their line (Gabriel and Sokal, 1969). */
function neighbours(points, depth) {
  const span = (values) => Math.max(...values) - Math.min(...values);
  const flat = span(points.map(([x]) => x)), deep = depth ? span(depth.slice(0, points.length)) : 0;
  const solid = points.map(([x, y], i) => [x, y, deep > 0 ? (depth[i] * flat) / 3 / deep : 0]);
  const apart = (p, q) => (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2;
  const pairs = new Map();
  solid.forEach((p, a) => {
    const near = solid.map((q, b) => [apart(p, q), b]).filter(([, b]) => b !== a).sort((m, n) => m[0] - n[0]).slice(0, 12);
    near.forEach(([far, b], k) => {
      const free = near.slice(0, k).every(([closer, c]) => closer + apart(solid[c], solid[b]) >= far - 1e-9);
      if (free) pairs.set(Math.min(a, b) * solid.length + Math.max(a, b), [a, b]);
    });
  });
  return [...pairs.values()];
}
