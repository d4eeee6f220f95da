// Pictures on their way into a model, pixel for pixel as Pillow and the library do it.
// An image is { data: Uint8Array [H,W,C], width, height, channels }.

const BITS = 22; // of the fraction with which Pillow weighs 8-bit pixels
const FILTERS = {
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, (x, a = -0.5) => {
    const d = Math.abs(x);
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
  }],
  lanczos: [3, (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0)],
};
const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
const between = (a, b, share) => a + (b - a) * share;
const byte = (value) => Math.max(0, Math.min(255, value));

/** Python's round: halves go to the even neighbour. */
export function rounded(value) {
  const low = Math.floor(value), rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

/** Returns, for each pixel of a row that is made out of from…to of another, where its sum begins and its weights. */
function weighed(from, to, size, limit, [support, weigh]) {
  const scale = (to - from) / size, wide = Math.max(scale, 1), reach = support * wide;
  return Array.from({ length: size }, (_, i) => {
    const center = from + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const last = Math.min(limit, Math.trunc(center + reach + 0.5));
    const shares = [];
    let total = 0;
    for (let x = first; x < last; x++) {
      const share = weigh((x - center + 0.5) / wide);
      shares.push(share);
      total += share;
    }
    const whole = shares.map((share) => {
      const scaled = (total ? share / total : share) * 2 ** BITS;
      return Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
    });
    return { first, whole };
  });
}

/** Resizes a part (left, top, right, bottom) of an image. */
export function resized(image, width, height, filter, part) {
  const box = part.map(Math.fround); // as Pillow takes it
  if (filter === "nearest") return nearest(image, width, height, box);
  const kind = FILTERS[filter], { channels } = image;
  const columns = weighed(box[0], box[2], width, image.width, kind);
  const lines = weighed(box[1], box[3], height, image.height, kind);
  const across = width === image.width && box[0] === 0 && box[2] === width ? image : stretchedX(image, columns);
  if (height === image.height && box[1] === 0 && box[3] === height) return across;
  const found = new Uint8Array(width * height * channels), row = width * channels;
  lines.forEach(({ first, whole }, y) => {
    for (let x = 0; x < row; x++) {
      let sum = 2 ** (BITS - 1);
      for (let k = 0, at = first * row + x; k < whole.length; k++, at += row) sum += across.data[at] * whole[k];
      found[y * row + x] = byte(Math.floor(sum / 2 ** BITS));
    }
  });
  return { data: found, width, height, channels };
}

function stretchedX(image, columns) {
  const { data, height, channels } = image, width = columns.length;
  const found = new Uint8Array(width * height * channels);
  columns.forEach(({ first, whole }, x) => {
    for (let y = 0; y < height; y++) {
      for (let c = 0; c < channels; c++) {
        let sum = 2 ** (BITS - 1);
        for (let k = 0, at = (y * image.width + first) * channels + c; k < whole.length; k++, at += channels) {
          sum += data[at] * whole[k];
        }
        found[(y * width + x) * channels + c] = byte(Math.floor(sum / 2 ** BITS));
      }
    }
  });
  return { data: found, width, height, channels };
}

function nearest(image, width, height, [left, top, right, bottom]) {
  const { data, channels } = image, found = new Uint8Array(width * height * channels);
  const columns = steps(left, (right - left) / width, width, image.width);
  let to = 0;
  for (const row of steps(top, (bottom - top) / height, height, image.height)) {
    for (const column of columns) {
      for (let c = 0; c < channels; c++) found[to++] = data[(row * image.width + column) * channels + c];
    }
  }
  return { data: found, width, height, channels };
}

/** Returns the pixels in whose middle steps of this size end, added up one by one as Pillow does. */
function steps(from, step, count, limit) {
  let at = from + 0.5 * step;
  return Array.from({ length: count }, () => {
    const pixel = Math.min(limit - 1, Math.trunc(at));
    at += step;
    return pixel;
  });
}

/** Returns an image in 1, 3 or 4 channels, of one in any of these (a canvas gives RGBA, opaque). */
export function inColours(image, channels) {
  const { data: from, width, height } = image, step = from.length / (width * height);
  if (step === channels) return { data: from, width, height, channels };
  const data = new Uint8Array(width * height * channels);
  for (let i = 0, to = 0; i < from.length; i += step) {
    if (channels === 1) {
      // ITU-R BT.601 luma, in Pillow's fixed point.
      data[to++] = (from[i] * 19595 + from[i + 1] * 38470 + from[i + 2] * 7471 + 0x8000) >> 16;
      continue;
    }
    for (let c = 0; c < channels; c++) data[to++] = c === 3 ? 255 : from[i + (step === 1 ? 0 : c)];
  }
  return { data, width, height, channels };
}

/** Returns the mean of blocks of factor × factor pixels, as Image.reduce gives it. */
export function reduced(image, factor) {
  const { data, channels } = image;
  const width = Math.ceil(image.width / factor), height = Math.ceil(image.height / factor);
  const found = new Uint8Array(width * height * channels);
  for (let y = 0, to = 0; y < height; y++) {
    const bottom = Math.min(image.height, (y + 1) * factor);
    for (let x = 0; x < width; x++) {
      const right = Math.min(image.width, (x + 1) * factor);
      const count = (bottom - y * factor) * (right - x * factor), share = Math.floor(2 ** 24 / count);
      for (let c = 0; c < channels; c++) {
        let sum = count >> 1;
        for (let v = y * factor; v < bottom; v++) {
          for (let u = x * factor; u < right; u++) sum += data[(v * image.width + u) * channels + c];
        }
        found[to++] = Math.floor((sum * share) / 2 ** 24);
      }
    }
  }
  return { data: found, width, height, channels };
}

/** Returns width × height pixels that `matrix` ([[a,b,c],[d,e,f]]) finds in the image; black beyond its borders. */
export function transformed(image, width, height, [[a, b, c], [d, e, f]]) {
  const { data, channels } = image, found = new Uint8Array(width * height * channels);
  const right = image.width - 1, bottom = image.height - 1;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += channels) {
      const u = a * (x + 0.5) + b * (y + 0.5) + c, v = d * (x + 0.5) + e * (y + 0.5) + f;
      if (u < 0 || v < 0 || u >= image.width || v >= image.height) continue;
      const left = Math.floor(u - 0.5), top = Math.floor(v - 0.5), du = u - 0.5 - left, dv = v - 0.5 - top;
      const x0 = Math.max(0, left), x1 = Math.min(right, left + 1);
      const y0 = Math.max(0, top) * image.width, y1 = Math.min(bottom, top + 1) * image.width;
      for (let k = 0; k < channels; k++) {
        const upper = between(data[(y0 + x0) * channels + k], data[(y0 + x1) * channels + k], du);
        const lower = between(data[(y1 + x0) * channels + k], data[(y1 + x1) * channels + k], du);
        found[to + k] = between(upper, lower, dv);
      }
    }
  }
  return { data: found, width, height, channels };
}
