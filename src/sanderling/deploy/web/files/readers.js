// What outputs mean: tasks/answers/*.py, with their options. `outputs` are [{ name, shape, values }], real numbers.

const last = (shape) => (shape.length ? shape[shape.length - 1] : 1);
const sigmoid = (x) => 1 / (1 + Math.exp(-Math.max(-100, Math.min(100, x))));
const range = (count) => Array.from({ length: count }, (_, i) => i);

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Returns shares of the classes, [no, yes] for a single number; frames vote with their mean. */
export function probabilities({ shape, values }, scores) {
  const classes = values.length === last(shape) || last(shape) === 1 ? values.length : last(shape);
  const frames = values.length / classes, [low, high] = extent(values);
  const inside = low >= -1e-3 && high <= 1 + 1e-3;
  const kind = scores !== "auto" ? scores : inside ? "probabilities" : classes === 1 ? "independent" : "logits";
  const sums = new Float64Array(classes);
  for (let frame = 0; frame < frames; frame++) {
    let row = Float64Array.from(values.subarray(frame * classes, (frame + 1) * classes));
    if (kind === "logits" && classes > 1) {
      const top = extent(row)[1];
      row = row.map((value) => Math.exp(value - top));
      const total = row.reduce((a, b) => a + b, 0);
      row = row.map((value) => value / total);
    } else if (kind !== "probabilities") row = row.map(sigmoid);
    row.forEach((value, i) => { sums[i] += value / frames; });
  }
  const shares = sums.map((value) => Math.max(0, Math.min(1, value)));
  return classes === 1 ? Float64Array.of(1 - shares[0], shares[0]) : shares;
}

/** Returns the likeliest classes, [{ number, share }]. */
export function topClasses(outputs, { output, scores, top, least }) {
  const shares = probabilities(outputs[output], scores);
  const order = range(shares.length).sort((a, b) => shares[b] - shares[a] || a - b).slice(0, top);
  return order.filter((n, i) => i === 0 || shares[n] >= least).map((number) => ({ number, share: shares[number] }));
}

/** Returns { height, width, channels, at(y, x, c) } of a mask of any layout. */
export function planesOf({ shape, values }, { axis, scores }) {
  let dims = [...shape];
  while (dims.length > 3 && dims[0] === 1) dims = dims.slice(1);
  if (dims.length === 3 && axis !== 1 && dims[0] === 1 && scores !== "classes") dims = dims.slice(1);
  if (dims.length === 2) dims = axis === 1 && shape.length > 3 ? [1, ...dims] : [...dims, 1];
  if (axis === 1) {
    const [channels, height, width] = dims;
    return { height, width, channels, at: (y, x, c) => values[(c * height + y) * width + x] };
  }
  const [height, width, channels] = dims;
  return { height, width, channels, at: (y, x, c) => values[(y * width + x) * channels + c] };
}

/** Returns the class of each pixel of a map of width × height over the picture: { classes, width, height }. */
export function maskOf(outputs, options, place, [width, height]) {
  const planes = planesOf(outputs[options.output], options);
  const cut = options.scores === "logit" ? 0 : options.cut, nothing = Math.max(options.background, 0);
  const several = options.scores === "classes" && planes.channels > 1;
  const present = several ? classesPresent(planes) : [planes.channels - 1];
  const classes = new Uint16Array(width * height);
  const [[a, b, c], [d, e, f]] = place.backwards(), [W, H] = place.size;
  const sx = planes.width / place.side[1], sy = planes.height / place.side[0];
  for (let y = 0, i = 0; y < height; y++) {
    const v = ((y + 0.5) * H) / height;
    for (let x = 0; x < width; x++, i++) {
      const u = ((x + 0.5) * W) / width, column = a * u + b * v + c, row = d * u + e * v + f;
      if (column < 0 || row < 0 || column > place.side[1] || row > place.side[0]) {
        classes[i] = nothing;
      } else if (options.scores === "map") {
        const n = planes.at(nearestIn(row * sy, planes.height), nearestIn(column * sx, planes.width), 0);
        classes[i] = Math.max(0, Math.round(n));
      } else {
        const near = around4(column * sx, row * sy, planes);
        classes[i] = several ? best(planes, near, present) : mixed(planes, near, present[0]) > cut ? 1 : 0;
      }
    }
  }
  return { classes, width, height };
}

const nearestIn = (value, size) => Math.max(0, Math.min(size - 1, Math.floor(value)));

function classesPresent(planes) {
  const counts = new Map();
  for (let y = 0; y < planes.height; y++) {
    for (let x = 0; x < planes.width; x++) {
      let top = 0;
      for (let c = 1; c < planes.channels; c++) if (planes.at(y, x, c) > planes.at(y, x, top)) top = c;
      counts.set(top, (counts.get(top) ?? 0) + 1);
    }
  }
  const order = [...counts].sort((p, q) => q[1] - p[1]).slice(0, 16);
  return order.map(([number]) => number).sort((p, q) => p - q);
}

function around4(u, v, { width, height }) {
  const left = Math.floor(u - 0.5), top = Math.floor(v - 0.5);
  const x0 = nearestIn(left, width), x1 = nearestIn(left + 1, width);
  const y0 = nearestIn(top, height), y1 = nearestIn(top + 1, height);
  return [x0, x1, y0, y1, u - 0.5 - left, v - 0.5 - top];
}

function mixed(planes, [x0, x1, y0, y1, du, dv], c) {
  const upper = planes.at(y0, x0, c) * (1 - du) + planes.at(y0, x1, c) * du;
  return upper * (1 - dv) + (planes.at(y1, x0, c) * (1 - du) + planes.at(y1, x1, c) * du) * dv;
}

function best(planes, near, present) {
  let top = present[0], most = -Infinity;
  for (const c of present) {
    const score = mixed(planes, near, c);
    if (score > most) [top, most] = [c, score];
  }
  return top;
}

/** Returns detections, best first: [{ box (in shares of the input), score, number, keypoints }]. */
export function boxesOf(outputs, options, side, anchors) {
  const reader = { listed, anchors: anchored, grid }[options.format];
  let found = reader(outputs, options, side, anchors).filter(({ score }) => score >= 0.05);
  found.sort((a, b) => b.score - a.score);
  if (options.format !== "listed") found = suppressed(found.slice(0, 400));
  if (options.format === "grid") {
    const pixels = options.pixels ?? found.some(({ box }) => Math.max(...box) > 2);
    if (pixels) found.forEach((each) => { each.box = each.box.map((v, i) => v / side[(i + 1) % 2]); });
  }
  return found.slice(0, 100).filter(({ score }) => score >= options.score).slice(0, options.most);
}

function listed(outputs, options) {
  const scores = outputs[options.scores].values, boxes = outputs[options.boxes].values;
  const classes = outputs[options.classes].values;
  const told = options.count === null ? scores.length : Math.round(outputs[options.count].values[0]);
  return range(Math.min(scores.length, Math.max(0, told))).map((i) => ({
    box: [boxes[4 * i + 1], boxes[4 * i], boxes[4 * i + 3], boxes[4 * i + 2]],
    score: scores[i], number: Math.round(classes[i]), keypoints: [],
  }));
}

function anchored(outputs, options, side, anchors) {
  const { values, shape } = outputs[options.boxes], columns = last(shape), count = values.length / columns;
  const table = outputs[options.scores], classes = last(table.shape), first = options.background ? 1 : 0;
  const found = [];
  for (let i = 0; i < count; i++) {
    let number = first;
    for (let c = first + 1; c < classes; c++) {
      if (table.values[i * classes + c] > table.values[i * classes + number]) number = c;
    }
    const raw = table.values[i * classes + number], score = options.logits ? sigmoid(raw) : raw;
    if (score < 0.05) continue;
    const row = values.subarray(i * columns, (i + 1) * columns);
    const base = range(4).map((k) => anchors[k * count + i]);
    found.push({ score, number: number - first, ...decoded(row, base, options.coding, side) });
  }
  return found;
}

function decoded(row, [ax, ay, aw, ah], coding, [height, width]) {
  const inPixels = coding === "pixels", size = (value) => Math.exp(Math.max(-20, Math.min(8, value / 5)));
  const x = inPixels ? (row[0] / width) * aw + ax : (row[1] / 10) * aw + ax;
  const y = inPixels ? (row[1] / height) * ah + ay : (row[0] / 10) * ah + ay;
  const w = Math.abs(inPixels ? (row[2] / width) * aw : size(row[3]) * aw) / 2;
  const h = Math.abs(inPixels ? (row[3] / height) * ah : size(row[2]) * ah) / 2;
  const keypoints = inPixels && row.length >= 6 ? range((row.length - 4) >> 1).map((k) => [
    (row[4 + 2 * k] / width) * aw + ax, (row[5 + 2 * k] / height) * ah + ay,
  ]) : [];
  return { box: [x - w, y - h, x + w, y + h], keypoints };
}

function grid(outputs, { boxes, transposed, objectness }) {
  const { values, shape } = outputs[boxes];
  const [rows, columns] = transposed ? [last(shape), shape[shape.length - 2]] : [shape[shape.length - 2], last(shape)];
  const at = (i, c) => (transposed ? values[c * rows + i] : values[i * columns + c]);
  const first = objectness ? 5 : 4, found = [];
  for (let i = 0; i < rows; i++) {
    let number = 0, score = columns > first ? at(i, first) : 1;
    for (let c = first + 1; c < columns; c++) {
      if (at(i, c) > score) [number, score] = [c - first, at(i, c)];
    }
    if (objectness) score *= at(i, 4);
    if (score < 0.05) continue;
    const [x, y, w, h] = [at(i, 0), at(i, 1), Math.abs(at(i, 2)) / 2, Math.abs(at(i, 3)) / 2];
    found.push({ box: [x - w, y - h, x + w, y + h], score, number, keypoints: [] });
  }
  return found;
}

function overlap(a, b) {
  const clipped = (low, high) => Math.max(0, high - low);
  const both = clipped(Math.max(a[0], b[0]), Math.min(a[2], b[2])) * clipped(Math.max(a[1], b[1]), Math.min(a[3], b[3]));
  const area = (c) => clipped(c[0], c[2]) * clipped(c[1], c[3]), union = area(a) + area(b) - both;
  return union > 0 ? both / union : 0;
}

/** Returns detections without those of the same class that overlap a better one. */
function suppressed(found) {
  const kept = [];
  for (const each of found) {
    if (kept.every((other) => other.number !== each.number || overlap(other.box, each.box) <= 0.5)) kept.push(each);
  }
  return kept;
}

/** Returns { points [[x, y]] in the input's pixels, depth, scores, presence }; the last three may be null. */
export function pointsOf(outputs, options, side) {
  const { values } = outputs[options.output], step = options.per_point, count = values.length / step;
  const column = (k) => Array.from({ length: count }, (_, i) => values[i * step + k]);
  let [x, y] = [column(0), column(1)];
  const yx = options.order === "yx" || (options.order === "auto" && count === 17 && step === 3 && options.third === "score");
  if (yx) [x, y] = [y, x];
  const most = Math.max(...x.map(Math.abs), ...y.map(Math.abs));
  const shares = options.units === "shares" || (options.units === "auto" && most <= 2);
  const known = { 3: options.third === "score" ? 2 : -1, 4: 3, 5: 3 }[step] ?? -1;
  const confidence = options.confidence === -2 ? known : options.confidence;
  const singles = range(outputs.length).filter((i) => outputs[i].values.length === 1 && i !== options.output);
  const position = options.presence === -2 ? singles[0] ?? -1 : options.presence;
  return {
    points: x.map((value, i) => (shares ? [value * side[1], y[i] * side[0]] : [value, y[i]])),
    depth: options.third === "depth" && step > 2 ? column(2) : null,
    scores: confidence >= 0 && confidence < step ? unit(column(confidence)) : null,
    presence: position < 0 ? null : unit([outputs[position].values[0]])[0],
  };
}

function unit(values) {
  return values.every((value) => value >= 0 && value <= 1) ? values : values.map(sigmoid);
}

/** Returns RGBA of an output that is a picture, and its size. */
export function pictureOf({ shape, values }, { low, high, bgr }) {
  let dims = [...shape];
  while (dims.length > 3 && dims[0] === 1) dims = dims.slice(1);
  if (dims.length === 2) dims = [...dims, 1];
  const first = ![1, 3, 4].includes(dims[2]) && [1, 3, 4].includes(dims[0]);
  const [height, width, channels] = first ? [dims[1], dims[2], dims[0]] : dims, area = width * height;
  const [black, white] = low !== null && high !== null ? [low, high] : ends(values);
  const data = new Uint8ClampedArray(4 * area);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) {
      const k = channels < 3 ? 0 : bgr ? 2 - c : c;
      data[4 * i + c] = (255 * (values[first ? k * area + i : i * channels + k] - black)) / (white - black);
    }
    data[4 * i + 3] = 255;
  }
  return { data, width, height };
}

const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.round(share * (sorted.length - 1)))];

function ends(values) {
  const sorted = Float64Array.from(values).sort(), low = quantile(sorted, 0.02), high = quantile(sorted, 0.98);
  return [[0, 1], [-1, 1], [0, 255]].find(([l, h]) => low >= l - 0.3 && high <= h * 1.2 + 0.1) ?? [0, 255];
}

/** Returns a map of depth, near is 1: { shares, width, height, low, high }. */
export function depthOf({ shape, values }, { near }) {
  const [height, width] = shape.filter((size) => size > 1).slice(-2);
  const sorted = Float64Array.from(values).sort(), low = quantile(sorted, 0.01), high = quantile(sorted, 0.99);
  const span = high - low || 1;
  const shares = Float32Array.from(values, (value) => (near ? value - low : high - value) / span);
  return { shares, width, height, low, high };
}
