// Runs a program (program.json and weights.bin, see program.py) with the browser's WebGPU. No dependencies.
//
//   const runner = await Runner.load("models/face/");               // the folder's two files
//   const { probabilities } = await runner.run({ image: new Float32Array(224 * 224 * 3) });
//   runner.close();
//
// Whatever goes wrong is a `RunnerError`, one sentence for people and a `code` for the page:
//
//   unsupported  this browser, page or GPU cannot run it: offer something else
//   program      the two files are damaged, do not belong together, or are of another version
//   input        an array does not fit: the sentence says which, and what was expected
//   memory       the GPU has not enough memory
//   lost         the GPU was reset, as after a driver's update: make a new runner
//   closed       `close` was called

const ARRAYS = {
  float32: [Float32Array], int32: [Int32Array], int8: [Int8Array], uint8: [Uint8Array, Uint8ClampedArray],
  bool: [Uint8Array], int16: [Int16Array], int64: [BigInt64Array],
  float16: [Uint16Array, ...(globalThis.Float16Array ? [Float16Array] : [])], // as stored: half floats
};
const FORMAT = 2;
const ALIGNMENT = 256;
const MOST_GROUPS = 65535; // in one dimension: what every device offers
const FEATURES = ["shader-f16", "subgroups"]; // that a program may ask for
// naga knows no "enable subgroups;", so shaders do not say it; browsers ask for it. They also want proof that all
// threads of a subgroup get there; those of a quad do, which is what is needed: their number is a multiple of 4.
const SUBGROUPS = "enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n";

const written = (code) => (code.includes("quadBroadcast") ? SUBGROUPS + code : code);
const aligned = (size, to = ALIGNMENT) => Math.ceil(size / to) * to;
const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
const bindingType = ({ constant, uniform }) => (uniform ? "uniform" : constant ? "read-only-storage" : "storage");
const elements = (shape) => shape.reduce((product, size) => product * size, 1);
const bytesOf = ({ dtype, shape }) => elements(shape) * ARRAYS[dtype][0].BYTES_PER_ELEMENT;

export class RunnerError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "RunnerError";
    this.code = code;
  }
}

export class Runner {
  /** Fetches and prepares a program: `url` is the folder of program.json and weights.bin. */
  static async load(url, device = null) {
    const folder = new URL(url.endsWith("/") ? url : `${url}/`, globalThis.location?.href);
    const [program, weights] = await Promise.all([
      fetched(new URL("program.json", folder), (response) => response.json()),
      fetched(new URL("weights.bin", folder), (response) => response.arrayBuffer()),
    ]);
    return Runner.create(program, weights, device);
  }

  /**
   * Prepares a program, without submitting anything that was not checked.
   *
   * `program` is the parsed program.json, `weights` an ArrayBuffer. Without a `device` the runner opens the
   * fastest one and gives it back in `close`; a page's own device may be shared by several runners.
   */
  static async create(program, weights, device = null) {
    check(program, weights);
    const own = device === null;
    const opened = device ?? (await openDevice(program));
    checkDevice(program, opened);
    const runner = new Runner(program, opened, own);
    try {
      await runner.#prepare(weights);
    } catch (error) {
      runner.close();
      throw error;
    }
    return runner;
  }

  #own;
  #closed = false;
  #lost = null;
  #buffers = [];
  #uniforms = null;
  #uniformStarts = [];
  #dispatches = [];
  #results = []; // where each output lies in a readback buffer
  #resultBytes = 0;
  #idle = []; // readback buffers that no call waits for
  #busy = new Set();

  constructor(program, device, own) {
    this.program = program;
    this.device = device;
    this.#own = own;
    for (const port of program.outputs) {
      this.#results.push(this.#resultBytes);
      this.#resultBytes += aligned(port.slot.size, 16);
    }
    device.lost.then(({ message }) => { this.#lost = message || "no reason was given"; });
  }

  /** Everything is made in one go between the scopes: they belong to the device, which others may use, too. */
  async #prepare(weights) {
    const { device, program } = this;
    device.pushErrorScope("out-of-memory");
    device.pushErrorScope("validation");
    let pipelines, scopes;
    try {
      this.#makeBuffers(weights);
      pipelines = this.#makePipelines();
    } finally {
      scopes = [device.popErrorScope(), device.popErrorScope()];
    }
    const [invalid, full, ...ready] = await Promise.all([...scopes, ...pipelines]);
    this.#checkUsable();
    if (full) throw new RunnerError("memory", `the GPU has no room for ${megabytes(program.buffers)}: ${full.message}`);
    if (invalid) throw new RunnerError("program", `the program was refused: ${invalid.message}`);
    ready.forEach((pipeline, i) => { this.#dispatches[i].pipeline = pipeline; });
    device.pushErrorScope("validation"); // what a call will submit is valid, or there will be no call
    this.#encode(this.#idle[0]);
    const wrong = await device.popErrorScope();
    this.#checkUsable();
    if (wrong) throw new RunnerError("program", `the program was refused: ${wrong.message}`);
  }

  #makeBuffers(weights) {
    const { device, program } = this;
    const { STORAGE, COPY_DST, COPY_SRC, UNIFORM } = GPUBufferUsage;
    for (const size of program.buffers) {
      this.#buffers.push(device.createBuffer({
        size: Math.max(size, 4), usage: STORAGE | UNIFORM | COPY_DST | COPY_SRC,
      }));
    }
    const bytes = asBytes(weights);
    let start = 0;
    program.buffers.slice(program.arenas).forEach((size, i) => {
      device.queue.writeBuffer(this.#buffers[program.arenas + i], 0, bytes, start, size);
      start += size;
    });
    const starts = [];
    let total = 0;
    for (const { uniforms } of program.dispatches) {
      starts.push(total);
      total += aligned(4 * uniforms.length);
    }
    const words = new Uint32Array(Math.max(total, ALIGNMENT) / 4);
    program.dispatches.forEach(({ uniforms }, i) => words.set(uniforms, starts[i] / 4));
    this.#uniforms = device.createBuffer({ size: words.byteLength, usage: UNIFORM | COPY_DST });
    device.queue.writeBuffer(this.#uniforms, 0, words);
    this.#uniformStarts = starts;
    this.#idle.push(this.#readback());
  }

  /** Returns a promise of a pipeline per dispatch; those of one text and layout are one. */
  #makePipelines() {
    const { device, program } = this;
    const modules = program.shaders.map((code) => device.createShaderModule({ code: written(code) }));
    const layouts = new Map();
    const pipelines = new Map();
    return program.dispatches.map((dispatch, i) => {
      const types = dispatch.slots.map(bindingType);
      const key = types.join();
      if (!layouts.has(key)) layouts.set(key, layout(device, types));
      const group = this.#bind(layouts.get(key), dispatch, this.#uniformStarts[i]);
      this.#dispatches.push({ group, groups: dispatch.groups });
      const named = `${dispatch.shader}:${key}`;
      if (!pipelines.has(named)) {
        pipelines.set(named, compiled(device, modules[dispatch.shader], layouts.get(key), dispatch.label));
      }
      return pipelines.get(named);
    });
  }

  #bind(layout, dispatch, start) {
    const resources = [
      { buffer: this.#uniforms, offset: start, size: 4 * dispatch.uniforms.length },
      ...dispatch.slots.map(({ buffer, offset, size }) => ({ buffer: this.#buffers[buffer], offset, size })),
    ];
    return this.device.createBindGroup({
      layout, entries: resources.map((resource, binding) => ({ binding, resource })),
    });
  }

  #readback() {
    const { MAP_READ, COPY_DST } = GPUBufferUsage;
    return this.device.createBuffer({ size: Math.max(this.#resultBytes, 16), usage: MAP_READ | COPY_DST });
  }

  /**
   * Runs once: name → typed array in, name → typed array out, fresh and the caller's own.
   *
   * A second call may be made before the first is answered: they run one after the other.
   */
  async run(inputs) {
    this.#checkUsable();
    const { device, program } = this;
    const writes = program.inputs.map((port) => [port.slot, bytesFor(port, inputs?.[port.name])]);
    for (const name of Object.keys(inputs)) {
      if (!program.inputs.some((port) => port.name === name)) {
        const known = program.inputs.map((port) => port.name).join(", ");
        throw new RunnerError("input", `there is no input ${name}; the program takes: ${known}`);
      }
    }
    device.pushErrorScope("validation");
    const readback = this.#idle.pop() ?? this.#readback();
    this.#busy.add(readback);
    for (const [slot, bytes] of writes) {
      device.queue.writeBuffer(this.#buffers[slot.buffer], slot.offset, bytes);
    }
    device.queue.submit([this.#encode(readback)]);
    const refused = device.popErrorScope();
    const [invalid, mapped] = await Promise.allSettled([refused, readback.mapAsync(GPUMapMode.READ)]);
    this.#busy.delete(readback);
    this.#checkUsable();
    if (invalid.value || mapped.status === "rejected") {
      readback.destroy();
      await Promise.race([device.lost, new Promise((done) => { setTimeout(done, 0); })]);
      this.#checkUsable();
      throw new RunnerError("program", `the GPU refused the call: ${(invalid.value ?? mapped.reason).message}`);
    }
    const results = this.#read(readback.getMappedRange());
    readback.unmap();
    this.#idle.push(readback);
    return results;
  }

  #encode(readback) {
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    let last = null;
    for (const { pipeline, group, groups } of this.#dispatches) {
      if (pipeline !== last) pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...groups);
      last = pipeline;
    }
    pass.end();
    this.program.outputs.forEach(({ slot }, i) => encoder.copyBufferToBuffer(
      this.#buffers[slot.buffer], slot.offset, readback, this.#results[i], slot.size));
    return encoder.finish();
  }

  #read(bytes) {
    return Object.fromEntries(this.program.outputs.map(({ name, dtype, shape }, i) => {
      const [Type] = ARRAYS[dtype];
      return [name, new Type(bytes, this.#results[i], elements(shape)).slice()];
    }));
  }

  #checkUsable() {
    if (this.#closed) throw new RunnerError("closed", "the runner is closed");
    if (this.#lost !== null) {
      throw new RunnerError("lost", `the GPU went away (${this.#lost}); make a new runner`);
    }
  }

  /** Frees the memory on the GPU. Calls that are not answered yet end with an error. May be called twice. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    for (const buffer of [...this.#buffers, ...this.#idle, ...this.#busy, this.#uniforms]) buffer?.destroy();
    if (this.#own) this.device.destroy();
  }
}

async function fetched(url, read) {
  let response;
  try {
    response = await fetch(url);
    if (response.ok) return await read(response);
  } catch (error) {
    throw new RunnerError("program", `${url} cannot be read: ${error.message}`);
  }
  throw new RunnerError("program", `${url} cannot be read: ${response.status} ${response.statusText}`);
}

/** Everything about the two files that needs no GPU. */
function check(program, weights) {
  const refuse = (reason) => { throw new RunnerError("program", reason); };
  if (program?.format !== FORMAT) refuse(`the program has format ${program?.format}, expected ${FORMAT}`);
  const held = program.buffers.slice(program.arenas).reduce((sum, size) => sum + size, 0);
  if (weights.byteLength !== program.weights_bytes || held !== program.weights_bytes) {
    refuse(`weights.bin has ${weights.byteLength} bytes, expected ${program.weights_bytes}`);
  }
  for (const name of program.features) {
    if (!FEATURES.includes(name)) refuse(`the program asks for ${name}, which this runner does not know`);
  }
  const inside = ({ buffer, offset, size }) => offset % ALIGNMENT === 0 && size % 4 === 0
    && size > 0 && offset >= 0 && offset + size <= program.buffers[buffer];
  for (const port of [...program.inputs, ...program.outputs]) {
    if (!(port.dtype in ARRAYS)) refuse(`${port.name} is ${port.dtype}, which this runner does not know`);
    const { slot } = port;
    if (!inside(slot) || slot.buffer >= program.arenas || bytesOf(port) > slot.size) {
      refuse(`${port.name} does not lie in a buffer of values`);
    }
  }
  program.dispatches.forEach(({ shader, slots, groups, label }, i) => {
    const sound = program.shaders[shader] !== undefined && slots.every(inside)
      && groups.length === 3 && groups.every((count) => count >= 1 && count <= MOST_GROUPS);
    if (!sound) refuse(`dispatch ${i} (${label}) has a range, a shader or a size that is not there`);
  });
}

function checkDevice(program, device) {
  for (const [name, needed] of Object.entries(program.requires)) {
    const limit = camel(name), offered = device.limits[limit] ?? 0;
    if (needed > offered) {
      throw new RunnerError("unsupported", `the program needs ${limit} ${needed}, this GPU offers ${offered}`);
    }
  }
  for (const name of program.features) {
    if (!device.features.has(name)) {
      throw new RunnerError("unsupported", `the program needs the feature ${name}, which this GPU does not have`);
    }
  }
}

async function openDevice(program) {
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) {
    throw new RunnerError("unsupported", globalThis.isSecureContext === false
      ? "the page came over plain HTTP, where browsers offer no WebGPU: serve it over HTTPS, or open it on localhost"
      : "this browser has no WebGPU");
  }
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new RunnerError("unsupported", "the browser offers no GPU: it may be switched off, or blocked");
  checkDevice(program, adapter);
  const requiredLimits = Object.fromEntries(
    Object.entries(program.requires).map(([name, needed]) => [camel(name), needed]));
  try {
    return await adapter.requestDevice({ requiredLimits, requiredFeatures: program.features });
  } catch (error) {
    throw new RunnerError("unsupported", `the GPU cannot be opened: ${error.message}`);
  }
}

function layout(device, types) {
  return device.createBindGroupLayout({
    entries: ["uniform", ...types].map((type, binding) => ({
      binding, visibility: GPUShaderStage.COMPUTE, buffer: { type },
    })),
  });
}

async function compiled(device, module, layout, label) {
  try {
    return await device.createComputePipelineAsync({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: "main" },
    });
  } catch (error) {
    const { messages } = await module.getCompilationInfo();
    const first = messages.find(({ type }) => type === "error");
    const told = first ? `line ${first.lineNum}: ${first.message}` : error.message;
    throw new RunnerError("program", `this browser does not compile the kernel ${label}: ${told}`);
  }
}

const asBytes = (array) => (ArrayBuffer.isView(array)
  ? new Uint8Array(array.buffer, array.byteOffset, array.byteLength) : new Uint8Array(array));
const megabytes = (sizes) => `${(sizes.reduce((sum, size) => sum + size, 0) / 2 ** 20).toFixed(1)} MiB`;

/** Returns what to write: the array itself, or a copy padded to a multiple of four bytes. */
function bytesFor(port, array) {
  const kinds = ARRAYS[port.dtype], wanted = elements(port.shape);
  if (!kinds.some((Type) => array instanceof Type) || array.length !== wanted) {
    const got = array === undefined || array === null ? "missing"
      : `${array.constructor?.name} of ${array.length}`;
    throw new RunnerError("input", `input ${port.name} is ${got}, expected ${kinds[0].name} of ${wanted}`);
  }
  const bytes = asBytes(array);
  if (bytes.length % 4 === 0) return bytes;
  const whole = new Uint8Array(aligned(bytes.length, 4));
  whole.set(bytes);
  return whole;
}
