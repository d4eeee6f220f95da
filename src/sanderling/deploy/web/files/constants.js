// A program's constants out of what the page holds: see constants.py for the rules.

const scratch = new DataView(new ArrayBuffer(4));

/** Returns what a 16-bit float stands for. */
export function widened(half) {
  const sign = half & 0x8000 ? -1 : 1, exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Returns the 16-bit float nearest to a number, the even one of two: as IEEE 754 rounds. */
export function narrowed(value) {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0), sign = (bits >>> 16) & 0x8000, size = bits & 0x7fffffff;
  if (size >= 0x7f800000) return sign | (size > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (size >= 0x477ff000) return sign | 0x7c00; // 65520 and more
  if (size < 0x38800000) { // less than 2^-14: fractions of 2^-24, which doubles hold exactly
    const steps = Math.abs(value) * 2 ** 24, low = Math.floor(steps), rest = steps - low;
    return sign | (rest > 0.5 || (rest === 0.5 && low & 1) ? low + 1 : low);
  }
  return sign | ((size - 0x38000000 + 0xfff + ((size >> 13) & 1)) >> 13);
}

let table = null; // of all 65,536

export function widenedAll(halves, to = new Float32Array(halves.length)) {
  table ??= Float32Array.from({ length: 65536 }, (_, half) => widened(half));
  for (let i = 0; i < halves.length; i++) to[i] = table[halves[i]];
  return to;
}

const RULES = {
  bytes: (held, { from }, at, weights) => new Uint8Array(weights).set(held.raw(from), at),
  half: (held, { from }, at, weights) => {
    widenedAll(held.array(from, "float16"), new Float32Array(weights, at, from[1] / 2));
  },
  scaled: (held, { from, lowest, period, counts, rows }, at, weights) => {
    const integers = held.raw(from), scales = held.array(rows, "float32");
    const values = new Float32Array(weights, at, integers.length);
    let i = 0;
    held.array(counts, "uint32").forEach((count, row) => {
      for (let n = 0; n < count; n++) {
        for (let k = row * period; k < (row + 1) * period; k++, i++) values[i] = (integers[i] + lowest) * scales[k];
      }
    });
  },
  same: (held, { of, bytes }, at, weights, whole) => {
    new Uint8Array(weights).set(new Uint8Array(whole, of, bytes), at);
  },
  narrow: (held, { of, count, factor }, at, weights, whole) => {
    const values = new Float32Array(whole, of, count), halves = new Uint16Array(weights, at, count);
    for (let i = 0; i < count; i++) halves[i] = narrowed(Math.max(-65504, Math.min(65504, values[i] / factor)));
  },
};

/** Returns the weights of a program, an ArrayBuffer; one in 16 bits is made of those of the other (`whole`). */
export function weightsOf(held, { program, constants }, whole = null) {
  const weights = new ArrayBuffer(program.weights_bytes);
  for (const rule of constants) RULES[rule.as](held, rule, rule.at, weights, whole);
  return weights;
}
