// The page's data: JSON, and parts of bytes. See blob.py, which writes them.

export const KINDS = {
  float32: Float32Array, int32: Int32Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array,
  int16: Int16Array, int64: BigInt64Array, float16: Uint16Array, uint32: Uint32Array,
};

/** What the page holds: `head`, the JSON, and parts of bytes, each [offset, size, bytes of an element]. */
export class Held {
  static read(bytes) {
    const length = new DataView(bytes.buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
    return new Held(head, bytes.subarray(4 + length));
  }

  constructor(head, bytes) {
    this.head = head;
    this.bytes = bytes;
  }

  /** Returns a fresh copy of a part, its elements put together again. */
  raw([offset, size, width]) {
    const laid = this.bytes.subarray(offset, offset + size);
    if (width === 1) return laid.slice();
    const whole = new Uint8Array(size), count = size / width;
    for (let plane = 0; plane < width; plane++) {
      for (let i = 0, from = plane * count, to = plane; i < count; i++, to += width) whole[to] = laid[from + i];
    }
    return whole;
  }

  array(part, kind) {
    return new KINDS[kind](this.raw(part).buffer);
  }
}

/** Returns bytes that look random, the same for everyone: see examples.noise_bytes. */
export function noiseBytes(seed, count) {
  const found = new Uint8Array(count);
  let state = seed >>> 0;
  for (let i = 0; i < count; i++) {
    state = (state ^ (state << 13)) >>> 0;
    state = (state ^ (state >>> 17)) >>> 0;
    state = (state ^ (state << 5)) >>> 0;
    found[i] = state >>> 24;
  }
  return found;
}

/** Returns the pixels that pictures.keep_pixels kept: uint8 [H,W,C]. */
export function keptPixels(held, { size: [height, width, channels], shift, from }) {
  const apart = held.raw(from), area = height * width;
  const values = new Uint8Array(area * channels);
  for (let c = 0; c < channels; c++) {
    const at = (x, y) => (x < 0 || y < 0 ? 0 : values[(y * width + x) * channels + c]);
    for (let y = 0, i = c * area; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const left = at(x - 1, y), above = at(x, y - 1), corner = at(x - 1, y - 1);
        const foretold = Math.max(Math.min(left, above), Math.min(Math.max(left, above), left + above - corner));
        values[(y * width + x) * channels + c] = foretold + apart[i];
      }
    }
  }
  for (let i = 0; channels >= 3 && i < values.length; i += channels) {
    values[i] += values[i + 1] - 128;
    values[i + 2] += values[i + 1] - 128;
  }
  const middle = (1 << shift) >> 1;
  return shift ? values.map((value) => (value << shift) | middle) : values;
}
