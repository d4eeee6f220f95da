// Where the pixels that a model sees lie in a picture: tasks/placement.py, tasks/inputs/image.py, pipeline/crop.py.
import { reduced, resized, rounded, transformed } from "./pixels.js";

/** An affine map from an input's pixels to a picture's: `side` [height, width], `size` [width, height]. */
export class Place {
  constructor(side, size, matrix) {
    this.side = side;
    this.size = size;
    this.matrix = matrix;
  }

  point([x, y]) {
    const [[a, b, c], [d, e, f]] = this.matrix;
    return [a * x + b * y + c, d * x + e * y + f];
  }

  /** Returns the upright box around one of the input, cut at the picture's borders. */
  box([left, top, right, bottom]) {
    const ends = [[left, top], [right, top], [left, bottom], [right, bottom]].map((end) => this.point(end));
    const [width, height] = this.size, cut = (value, limit) => Math.max(0, Math.min(limit, value));
    const x = ends.map((end) => end[0]), y = ends.map((end) => end[1]);
    return [
      cut(Math.min(...x), width), cut(Math.min(...y), height), cut(Math.max(...x), width), cut(Math.max(...y), height),
    ];
  }

  /** Returns the place of an input that shows a part which itself lies like `outer` in a larger picture. */
  within(outer) {
    const [[a, b, c], [d, e, f]] = outer.matrix, [[p, q, r], [s, t, u]] = this.matrix;
    return new Place(this.side, outer.size, [
      [a * p + b * s, a * q + b * t, a * r + b * u + c],
      [d * p + e * s, d * q + e * t, d * r + e * u + f],
    ]);
  }

  backwards() {
    const [[a, b, c], [d, e, f]] = this.matrix, det = a * e - b * d;
    return [[e / det, -b / det, (b * f - c * e) / det], [-d / det, a / det, (c * d - a * f) / det]];
  }

  /** Returns the part of an image that the input shows, at the input's size. */
  cut(image) {
    const [[a, b], [d, e]] = this.matrix;
    const factor = Math.max(1, Math.trunc(Math.sqrt(Math.abs(a * e - b * d))));
    const small = factor > 1 ? reduced(image, factor) : image;
    const matrix = this.matrix.map((row) => row.map((value) => value / factor));
    return transformed(small, this.side[1], this.side[0], matrix);
  }
}

/** Returns which part of a picture of this size an input shows. */
export function placed([width, height], side, { resize, central }) {
  let across = width * central, down = height * central;
  if (resize === "letterbox" || resize === "crop") {
    const steps = [across / side[1], down / side[0]];
    const step = resize === "letterbox" ? Math.max(...steps) : Math.min(...steps);
    across = side[1] * step;
    down = side[0] * step;
  }
  const left = (width - across) / 2, top = (height - down) / 2;
  const right = left + across, bottom = top + down;
  return new Place(side, [width, height], [[(right - left) / side[1], 0, left], [0, (bottom - top) / side[0], top]]);
}

/** Returns what an input shows of an image: uint8 [H,W,C], before it is normalized. */
export function pixelsOf(image, place, settings) {
  const [height, width] = place.side, [[across, , left], [, down, top]] = place.matrix;
  const box = [left, top, left + across * width, top + down * height];
  const inner = [Math.max(box[0], 0), Math.max(box[1], 0), Math.min(box[2], image.width), Math.min(box[3], image.height)];
  let x0 = rounded((inner[0] - left) / across), y0 = rounded((inner[1] - top) / down);
  const wide = Math.max(1, rounded((inner[2] - left) / across) - x0);
  const high = Math.max(1, rounded((inner[3] - top) / down) - y0);
  const whole = inner[0] === 0 && inner[1] === 0 && inner[2] === image.width && inner[3] === image.height;
  const same = whole && wide === image.width && high === image.height;
  const seen = same ? image : resized(image, wide, high, settings.filter, inner);
  let { data } = seen;
  if (wide !== width || high !== height) {
    const { channels } = image, framed = new Uint8Array(width * height * channels).fill(settings.fill);
    x0 = Math.min(x0, width - wide);
    y0 = Math.min(y0, height - high);
    for (let y = 0; y < high; y++) {
      const row = data.subarray(y * wide * channels, (y + 1) * wide * channels);
      framed.set(row, ((y0 + y) * width + x0) * channels);
    }
    data = framed;
  }
  return settings.invert ? data.map((value) => 255 - value) : data;
}

/** Returns the parts of a picture around what a detector found, the best first: pipeline/crop.py. */
export function cropPlaces(boxes, crop, size, side) {
  const good = boxes.filter(({ score }) => score >= crop.score).sort((a, b) => b.score - a.score);
  return good.slice(0, crop.most).map((found) => cropPlace(found, crop, size, side));
}

function cropPlace(found, crop, size, side) {
  const [left, top, right, bottom] = around(found, crop);
  let width = Math.max(right - left, 1), height = Math.max(bottom - top, 1);
  const turn = turned(found.keypoints, crop), across = Math.cos(turn), down = Math.sin(turn);
  const dx = crop.shift[0] * width, dy = crop.shift[1] * height;
  const x = (left + right) / 2 + dx * across - dy * down, y = (top + bottom) / 2 + dx * down + dy * across;
  if (crop.square) width = height = Math.max(width, height);
  const { scale } = crop, stepX = (width * scale) / side[1], stepY = (height * scale) / side[0];
  return new Place(side, size, [
    [stepX * across, -stepY * down, x - ((width * across - height * down) * scale) / 2],
    [stepX * down, stepY * across, y - ((width * down + height * across) * scale) / 2],
  ]);
}

function around({ box, keypoints }, crop) {
  if (!crop.around || Math.max(...crop.around) >= keypoints.length) return box;
  const [x, y] = keypoints[crop.around[0]], [x1, y1] = keypoints[crop.around[1]];
  const radius = Math.hypot(x1 - x, y1 - y);
  return [x - radius, y - radius, x + radius, y + radius];
}

function turned(keypoints, crop) {
  const level = crop.level ?? (keypoints.length === 6 ? [0, 1] : null);
  if (!level || Math.max(...level) >= keypoints.length) return 0;
  const [x0, y0] = keypoints[level[0]], [x1, y1] = keypoints[level[1]];
  if (x0 === x1 && y0 === y1) return 0;
  return Math.atan2(y1 - y0, x1 - x0) + (crop.upright ? Math.PI / 2 : 0);
}
