// A model of the page: opened on this device, fed, run, and compared with the answers that LiteRT gave.
import { Runner } from "./runner.js";
import { KINDS, keptPixels, noiseBytes } from "./data.js";
import { weightsOf, widenedAll } from "./constants.js";
import { inColours } from "./pixels.js";
import { cropPlaces, pixelsOf, placed } from "./places.js";
import { answered } from "./answers.js";
import { boxesOf } from "./readers.js";

const count = (shape) => shape.reduce((product, size) => product * size, 1);

export class Model {
  /** Opens one of its programs: float32, float16, or software (float32 for adapters that are no GPU). */
  static async open(held, told, program) {
    const whole = weightsOf(held, told.programs.float32), chosen = told.programs[program] ?? told.programs.float32;
    const weights = chosen === told.programs.float32 ? whole : weightsOf(held, chosen, whole);
    const runner = await Runner.create(chosen.program, weights);
    return new Model(held, told, runner, program === "float16" ? "float16" : "float32");
  }

  #first; // of the state, by input's port
  #state = {};

  constructor(held, told, runner, precision) {
    this.held = held;
    this.told = { ...told, anchors: told.anchors ? held.array(told.anchors, "float32") : null };
    this.runner = runner;
    this.precision = precision;
    this.values = told.inputs.map(({ image, dtype }) => image && held.array(image.values, dtype));
    this.#first = Object.fromEntries(told.states.map((each) => [each.in, held.array(each.first, each.dtype)]));
    this.forget();
  }

  /** Sets the state of a model that keeps one back to its beginning. */
  forget() {
    this.#state = { ...this.#first };
    this.told.inputs.filter((input) => "state" in input).forEach(({ port, dtype, shape }) => {
      this.#state[port] = new KINDS[dtype](count(shape));
    });
  }

  /** Returns the input that takes a picture, undefined where none does. */
  get picture() {
    return this.told.inputs.find(({ image }) => image);
  }

  /** Runs once. Args: typed arrays by port. Returns the stored outputs, in the model's order. */
  async run(feeds) {
    const found = await this.runner.run({ ...this.#state, ...feeds });
    this.told.states.forEach((each) => { this.#state[each.in] = found[each.out]; });
    const outputs = this.told.outputs.map(({ port }) => found[port]);
    this.told.inputs.filter((input) => "state" in input).forEach(({ port, state }) => { this.#state[port] = outputs[state]; });
    return outputs;
  }

  /** Returns outputs as real numbers: [{ name, shape, values }]. */
  real(outputs) {
    return this.told.outputs.map(({ name, shape, dtype, scale, zero_point }, i) => ({
      name, shape, values: realValues(outputs[i], dtype, scale, zero_point),
    }));
  }

  /** Returns what an input is fed for the pixels that it shows: uint8 [H,W,C]. */
  fed(input, pixels) {
    const { channels, layout, copies, colour } = input.image, area = pixels.length / channels;
    const table = this.values[this.told.inputs.indexOf(input)], one = new KINDS[input.dtype](pixels.length);
    for (let i = 0, at = 0; at < area; at++) {
      for (let c = 0; c < channels; c++, i++) {
        const seen = pixels[colour === "bgr" && channels === 3 ? i + 2 - 2 * c : i];
        one[layout === "NCHW" ? c * area + at : i] = table[c * 256 + seen];
      }
    }
    if (copies === 1) return one;
    const whole = new KINDS[input.dtype](copies * one.length);
    for (let n = 0; n < copies; n++) whole.set(one, n * one.length);
    return whole;
  }

  /** Returns the arrays that an example feeds, by port. */
  exampleFeeds(example) {
    const feeds = {};
    this.told.inputs.forEach((input, i) => {
      const kept = example.inputs[i];
      if (kept.half) feeds[input.port] = widenedAll(this.held.array(kept.half, "float16"));
      else if (kept.array) feeds[input.port] = this.held.array(kept.array, input.dtype);
      else feeds[input.port] = this.examplePixels(input, kept);
    });
    return feeds;
  }

  examplePixels(input, kept) {
    const pixels = "noise" in kept ? noiseBytes(kept.noise, count(kept.size)) : keptPixels(this.held, kept);
    // Kept as the model is fed: blue first where that is its order.
    const { colour } = input.image;
    return this.fed(colour === "bgr" ? { ...input, image: { ...input.image, colour: "rgb" } } : input, pixels);
  }

  /** Returns the outputs for an image (RGBA of a canvas, or RGB), which may itself lie at `outer` in a picture. */
  async look(image, outer = null) {
    const feeds = { ...this.rest };
    let first = null;
    for (const input of this.told.inputs.filter((each) => each.image)) {
      const { pixels, place } = seenBy(input.image, image);
      feeds[input.port] = this.fed(input, pixels);
      first ??= place;
    }
    const begun = performance.now(), outputs = this.real(await this.run(feeds));
    return { outputs, place: outer ? first.within(outer) : first, ms: performance.now() - begun };
  }

  /** Returns what inputs that take no picture are fed beside one: what the first example has. */
  get rest() {
    if (this.told.inputs.every(({ image }) => image)) return {};
    return this.exampleFeeds(this.held.head.examples[0]);
  }

  close() {
    this.runner.close();
  }
}

/** Returns what an input of a model shows of an image: { pixels, place }. */
export function seenBy(settings, image) {
  const { channels, colour, side } = settings, plain = colour === "grey" ? inColours(image, 1) : image;
  const seen = inColours(plain, channels), place = placed([image.width, image.height], side, settings);
  return { pixels: pixelsOf(seen, place, settings), place };
}

function realValues(values, dtype, scale, zero) {
  if (dtype === "float16") return widenedAll(values);
  if (dtype === "float32") return values;
  const plain = dtype === "int64" ? Float64Array.from(values, Number) : values;
  return scale === undefined ? Float64Array.from(plain) : Float32Array.from(plain, (value) => (value - zero) * scale);
}

/** Returns whole answers of a picture (RGBA): of the model, or of each part that its detector finds. */
export async function answerPicture(model, detector, pixels) {
  if (!detector) {
    const { outputs, place, ms } = await model.look(pixels);
    return { answers: [answered(model.told, outputs, place)], places: [], ms };
  }
  const found = await detector.look(pixels), { options } = detector.told, { crop } = model.told;
  const [height, width] = found.place.side;
  const boxes = boxesOf(found.outputs, options, found.place.side, detector.told.anchors).map((each) => ({
    box: found.place.box(each.box.map((v, i) => v * (i % 2 ? height : width))), score: each.score,
    keypoints: each.keypoints.map(([x, y]) => found.place.point([x * width, y * height])),
  }));
  const whole = inColours(pixels, 3);
  const places = cropPlaces(boxes, crop, [pixels.width, pixels.height], model.picture.image.side);
  const answers = [];
  let { ms } = found;
  for (const outer of places) {
    const seen = await model.look(outer.cut(whole), outer);
    answers.push(answered(model.told, seen.outputs, seen.place));
    ms += seen.ms;
  }
  return { answers, places, ms };
}

/** Compares with the stored answers. Returns a row for each output: { name, off, allowed }, the worst of all examples. */
export async function compared(model, examples, allowed) {
  const rows = model.told.outputs.map(({ name }, i) => ({ name, off: 0, allowed: allowed[i] }));
  for (const example of examples) {
    model.forget();
    const outputs = await model.run(model.exampleFeeds(example));
    example.outputs.forEach((kept, i) => {
      rows[i].off = Math.max(rows[i].off, difference(model, outputs[i], kept, model.told.outputs[i].dtype));
    });
  }
  model.forget();
  return rows;
}

/** Returns the largest difference, in steps of integers, or as a share of the largest number of floats. */
function difference(model, mine, kept, dtype) {
  if (mine.length !== kept.size) return Infinity;
  const isFloat = "levels" in kept, values = dtype === "float16" ? widenedAll(mine) : mine;
  const wanted = isFloat ? model.held.array(kept.levels, "int16") : model.held.array(kept.array, dtype);
  const unit = isFloat ? (kept.largest || 1) / 32767 : 1;
  let worst = 0;
  wanted.forEach((level, i) => {
    const off = Math.abs(Number(values[kept.step ? (i * kept.step) % kept.size : i]) - Number(level) * unit);
    if (!(off <= worst)) worst = Number.isNaN(off) ? Infinity : off;
  });
  return isFloat ? worst / (kept.largest || 1) : worst;
}
