// Runs a program (program.json and weights.bin, see program.py) with the browser's WebGPU. No dependencies.
//
//   const runner = await Runner.create(program, weights);          // object and ArrayBuffer
//   const { probabilities } = await runner.run({ image: new Float32Array(224 * 224 * 3) });

const ARRAYS = {
  float32: Float32Array, int32: Int32Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array,
  int16: Int16Array, int64: BigInt64Array, float16: Uint16Array, // as stored: half floats
};
const ALIGNMENT = 256;
const LIMITS = {
  max_storage_buffers_per_shader_stage: "maxStorageBuffersPerShaderStage",
  max_storage_buffer_binding_size: "maxStorageBufferBindingSize",
  max_buffer_size: "maxBufferSize",
};

const aligned = (size) => Math.ceil(size / ALIGNMENT) * ALIGNMENT;
const bindingType = ({ constant, uniform }) => (uniform ? "uniform" : constant ? "read-only-storage" : "storage");
// naga knows no "enable subgroups;", so shaders do not say it; browsers ask for it. They also want proof that all
// threads of a subgroup get there; those of a quad do, which is what is needed: their number is a multiple of 4.
const SUBGROUPS = "enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n";
const written = (code) => (code.includes("quadBroadcast") ? SUBGROUPS + code : code);
const elements = (shape) => shape.reduce((product, size) => product * size, 1);

export class Runner {
  /** Prepares a program: `program` is the parsed program.json, `weights` an ArrayBuffer. */
  static async create(program, weights, device = null) {
    if (program.format !== 1) throw new Error(`program format ${program.format}, expected 1`);
    if (weights.byteLength !== program.weights_bytes) {
      throw new Error(`weights.bin has ${weights.byteLength} bytes, expected ${program.weights_bytes}`);
    }
    const runner = new Runner();
    runner.device = device ?? (await openDevice(program));
    needs(program, runner.device.features, "device");
    runner.program = program;
    runner.device.pushErrorScope("validation");
    await runner.prepare(weights);
    const error = await runner.device.popErrorScope();
    if (error) throw new Error(`the program was refused: ${error.message}`);
    return runner;
  }

  async prepare(weights) {
    const { device, program } = this;
    const { STORAGE, COPY_DST, COPY_SRC, UNIFORM, MAP_READ } = GPUBufferUsage;
    this.buffers = program.buffers.map((size) =>
      device.createBuffer({ size: Math.max(size, 4), usage: STORAGE | UNIFORM | COPY_DST | COPY_SRC }));
    let start = 0;
    program.buffers.slice(program.arenas).forEach((size, i) => {
      device.queue.writeBuffer(this.buffers[program.arenas + i], 0, weights, start, size);
      start += size;
    });
    this.uniforms = this.writeUniforms(UNIFORM | COPY_DST);
    const layouts = new Map();
    const modules = program.shaders.map((code) => device.createShaderModule({ code: written(code) }));
    const pipelines = new Map();
    this.dispatches = await Promise.all(program.dispatches.map(async (dispatch, i) => {
      const types = dispatch.slots.map((slot) => bindingType(slot));
      const key = types.join();
      if (!layouts.has(key)) layouts.set(key, this.layout(types));
      const named = `${dispatch.shader}:${key}`;
      if (!pipelines.has(named)) {
        pipelines.set(named, device.createComputePipelineAsync({
          layout: device.createPipelineLayout({ bindGroupLayouts: [layouts.get(key)] }),
          compute: { module: modules[dispatch.shader], entryPoint: "main" },
        }));
      }
      return {
        pipeline: await pipelines.get(named),
        group: this.bind(layouts.get(key), dispatch, this.uniformStarts[i]),
        groups: dispatch.groups,
      };
    }));
    this.resultStarts = [];
    let total = 0;
    for (const { slot } of program.outputs) {
      this.resultStarts.push(total);
      total += Math.ceil(slot.size / 16) * 16;
    }
    this.readback = device.createBuffer({ size: Math.max(total, 16), usage: MAP_READ | COPY_DST });
  }

  writeUniforms(usage) {
    const { device, program } = this;
    this.uniformStarts = [];
    let total = 0;
    for (const { uniforms } of program.dispatches) {
      this.uniformStarts.push(total);
      total += aligned(4 * uniforms.length);
    }
    const words = new Uint32Array(Math.max(total, ALIGNMENT) / 4);
    program.dispatches.forEach(({ uniforms }, i) => words.set(uniforms, this.uniformStarts[i] / 4));
    const buffer = device.createBuffer({ size: words.byteLength, usage });
    device.queue.writeBuffer(buffer, 0, words);
    return buffer;
  }

  layout(types) {
    return this.device.createBindGroupLayout({
      entries: ["uniform", ...types].map((type, binding) => ({
        binding, visibility: GPUShaderStage.COMPUTE, buffer: { type },
      })),
    });
  }

  bind(layout, dispatch, start) {
    const resources = [
      { buffer: this.uniforms, offset: start, size: 4 * dispatch.uniforms.length },
      ...dispatch.slots.map(({ buffer, offset, size }) => ({ buffer: this.buffers[buffer], offset, size })),
    ];
    return this.device.createBindGroup({
      layout, entries: resources.map((resource, binding) => ({ binding, resource })),
    });
  }

  /** Runs once: name → typed array in, name → typed array out. One call at a time. */
  async run(inputs) {
    const { device, program } = this;
    for (const port of program.inputs) this.write(port, inputs[port.name]);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const { pipeline, group, groups } of this.dispatches) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...groups);
    }
    pass.end();
    program.outputs.forEach(({ slot }, i) => encoder.copyBufferToBuffer(
      this.buffers[slot.buffer], slot.offset, this.readback, this.resultStarts[i], slot.size));
    device.queue.submit([encoder.finish()]);
    await this.readback.mapAsync(GPUMapMode.READ);
    const bytes = this.readback.getMappedRange();
    const results = {};
    program.outputs.forEach(({ name, dtype, shape }, i) => {
      const Type = ARRAYS[dtype];
      results[name] = new Type(bytes, this.resultStarts[i], elements(shape)).slice();
    });
    this.readback.unmap();
    return results;
  }

  write({ name, dtype, shape, slot }, array) {
    const Type = ARRAYS[dtype];
    if (!(array instanceof Type) || array.length !== elements(shape)) {
      const got = array ? `${array.constructor.name} of ${array.length}` : "nothing";
      throw new Error(`input ${name} is ${got}, expected ${Type.name} of ${elements(shape)}`);
    }
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    const whole = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
    whole.set(bytes);
    this.device.queue.writeBuffer(this.buffers[slot.buffer], slot.offset, whole);
  }

  /** Frees the memory on the GPU. */
  close() {
    for (const buffer of [...this.buffers, this.uniforms, this.readback]) buffer.destroy();
  }
}

/** Throws where a feature is missing that the program needs. */
function needs({ features }, offered, where) {
  const missing = features.filter((name) => !offered.has(name));
  if (missing.length) throw new Error(`the program needs ${missing.join(", ")}, which this ${where} does not have`);
}

async function openDevice(program) {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("this browser has no WebGPU adapter");
  needs(program, adapter.features, "adapter");
  const { requires, features } = program;
  const requiredLimits = {};
  for (const [ours, theirs] of Object.entries(LIMITS)) {
    if ((requires[ours] ?? 0) > adapter.limits[theirs]) {
      throw new Error(`the program needs ${theirs} ${requires[ours]}, this adapter has ${adapter.limits[theirs]}`);
    }
    requiredLimits[theirs] = adapter.limits[theirs];
  }
  return adapter.requestDevice({ requiredLimits, requiredFeatures: features });
}
