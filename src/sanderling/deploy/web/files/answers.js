// Answers: what people read, and how it is drawn (draw.js). One function per task; others are told in numbers.
import { boxesOf, depthOf, maskOf, pictureOf, pointsOf, topClasses } from "./readers.js";
import { drawBoxes, drawMask, drawPicture, drawPoints, drawWord, classColour, drawHeat } from "./draw.js";

export const percent = (value) => {
  if (value > 0.9995 && value < 1) return "> 99.9 %";
  if (value > 0 && value < 0.0005) return "< 0.1 %";
  return `${(100 * value).toFixed(value > 0.1 && value < 0.99 ? 0 : 1)} %`;
};
const nameOf = (labels, number) => labels[number] || `class ${number}`;
const short = (value) => Number(value.toPrecision(4)).toString();

/** Answers: { rows: [{ name, share?, note?, colour? }], fact, data, draw(context, unit) }. */
const TASKS = {
  classify(outputs, { options, labels }) {
    const names = labels.length || outputs[options.output].values.length > 1 ? labels : ["no", "yes"];
    const rows = topClasses(outputs, options).map(({ number, share }) => ({
      name: nameOf(names, number), share, number,
    }));
    return {
      rows, fact: "", data: { classes: rows },
      draw: (context, unit) => drawWord(context, unit, rows[0].name, percent(rows[0].share)),
    };
  },

  segment(outputs, { options, labels }, place) {
    const [width, height] = place.size, scale = Math.min(1, 640 / Math.max(width, height));
    const size = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    const mask = maskOf(outputs, options, place, size);
    const counts = new Map();
    for (const number of mask.classes) counts.set(number, (counts.get(number) ?? 0) + 1);
    const single = options.scores === "probability" || options.scores === "logit";
    const names = labels.length || !single ? labels : ["background", "foreground"];
    const rows = [...counts].map(([number, count]) => ({
      name: nameOf(names, number), share: count / mask.classes.length, number,
      colour: number === options.background ? null : classColour(number - 1),
    })).filter(({ share }) => share >= options.least).sort((a, b) => b.share - a.share);
    return {
      rows, fact: "shares of the picture", data: { classes: rows }, draw: (context) => drawMask(context, mask, rows, place.size),
    };
  },

  detect(outputs, { options, labels }, place, { anchors }) {
    const first = options.background ? 1 : 0;
    const boxes = boxesOf(outputs, options, place.side, anchors).map((found) => {
      const [left, top, right, bottom] = found.box, [height, width] = place.side;
      return {
        box: place.box([left * width, top * height, right * width, bottom * height]), share: found.score,
        number: found.number + first, colour: classColour(found.number + first),
        name: labels.length ? nameOf(labels, found.number) : options.format === "anchors" ? "object" : nameOf([], found.number),
        keypoints: found.keypoints.map(([x, y]) => place.point([x * width, y * height])),
      };
    });
    const rows = boxes.length ? boxes : [{ name: "nothing found" }];
    return { rows, fact: "", data: { boxes }, draw: (context, unit) => drawBoxes(context, unit, boxes) };
  },

  landmarks(outputs, { options, skeleton }, place) {
    const read = pointsOf(outputs, options, place.side), { presence } = read;
    const points = read.points.slice(0, skeleton.points).map((point) => place.point(point));
    const seen = points.map((_, i) => read.scores === null || read.scores[i] >= options.score);
    const absent = presence !== null && presence < options.score, thing = skeleton.what || "set of points";
    const rows = absent ? [{ name: `no ${thing}`, share: presence }] : [
      { name: thing, ...(presence === null ? {} : { share: presence }), note: `${points.length} points` },
      ...Object.entries(skeleton.names).filter(([i]) => seen[i]).map(([i, name]) => ({
        name, note: `(${Math.round(points[i][0])}, ${Math.round(points[i][1])})`,
        ...(read.scores === null ? {} : { share: read.scores[i] }),
      })),
    ];
    return {
      rows, fact: "", data: { points, presence, absent },
      draw: (context, unit) => {
        if (!absent) drawPoints(context, unit, points, read.depth, seen, skeleton);
      },
    };
  },

  embed(outputs, { options }) {
    const { values } = outputs[options.output], length = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
    const first = Array.from(values.slice(0, options.first), short).join("   ");
    return {
      rows: [{ name: `${values.length} numbers of length ${short(length)}` }, { name: `${first} …` }],
      fact: "", data: { size: values.length, length },
    };
  },

  image(outputs, { options }, place) {
    const made = pictureOf(outputs[options.output], options);
    return {
      rows: [{ name: `a picture of ${made.width} × ${made.height}` }], fact: "", data: { size: [made.width, made.height] },
      draw: (context) => drawPicture(context, made, place),
    };
  },

  depth(outputs, { options }, place) {
    const map = depthOf(outputs[options.output], options), unit = options.unit ? ` ${options.unit}` : "";
    return {
      rows: [{ name: `depth from ${short(map.low)} to ${short(map.high)}${unit}` }], fact: "",
      data: { low: map.low, high: map.high }, draw: (context) => drawHeat(context, map, place),
    };
  },
};

const PICTURES = ["segment", "detect", "landmarks", "image", "depth"]; // they need to know where the input lies

/** Returns the answer of a task, in numbers for those that are none of the above. */
export function answered(model, outputs, place) {
  const known = TASKS[model.task], placeable = place !== null || !PICTURES.includes(model.task);
  const readable = model.task !== "detect" || model.options.format !== "anchors" || model.anchors;
  return known && placeable && readable ? known(outputs, model, place, model) : numbers(outputs);
}

function numbers(outputs) {
  const rows = outputs.map(({ name, shape, values }) => {
    if (values.length <= 16) return { name, note: Array.from(values, short).join("  ") };
    let low = Infinity, high = -Infinity, sum = 0;
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
      sum += value;
    }
    const words = `from ${short(low)} to ${short(high)}, mean ${short(sum / values.length)}`;
    return { name: `${name} [${shape.join("×")}]`, note: words };
  });
  return { rows, fact: "the outputs in numbers", data: {} };
}
