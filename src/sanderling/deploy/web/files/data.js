// The page's data: text → bytes → JSON and parts. See blob.py and text.py, which write them.

const AVOIDED = [0, 9, 10, 13, 26, 38, 60, 62];
const FIRST_PAIR = 0x100;

/** Returns the bytes that a text stands for: 7 bits a character, or 14 where one stands for two. */
export function bytesOfText(text) {
  const bytes = new Uint8Array(Math.floor((text.length * 2 * 7) / 8) + 8);
  let held = 0, bits = 0, end = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 128) {
      held = (held << 7) | code;
      bits += 7;
    } else {
      const pair = code - FIRST_PAIR;
      held = (held << 14) | (AVOIDED[pair >> 7] << 7) | (pair & 127);
      bits += 14;
    }
    while (bits >= 8) {
      bits -= 8;
      bytes[end++] = held >> bits;
    }
    held &= (1 << bits) - 1;
  }
  return bytes.subarray(0, end);
}

/** Returns what deflated bytes held; what follows the stream's end is padding. */
export async function inflated(bytes, size) {
  const stream = new Blob([bytes.subarray(0, size)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export const KINDS = {
  float32: Float32Array, int32: Int32Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array,
  int16: Int16Array, int64: BigInt64Array, float16: Uint16Array, uint32: Uint32Array,
};

/** What the page holds: `head`, the JSON, and parts of bytes, each [offset, size, bytes of an element]. */
export class Held {
  static async read(text, size) {
    const bytes = await inflated(bytesOfText(text), size);
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
