// The steps of a recurrent layer: one workgroup of LANES × SPLIT threads for each sequence, which keeps its state in
// shared memory. x holds what the inputs give, for all steps at once: a vec4 for every cell. LSTM: a cell's gates
// input, forget, cell, output; otherwise four units of a plain layer. w [outputs, cells]: what the last outputs add.
// A lane computes a cell, SPLIT lanes share its sum. y: a row for every step, in the order of x, then the cells' states.
var<workgroup> h: array<f32, OUTPUTS>;
var<workgroup> m: array<f32, WIDTH>;  // what a step gives before it is projected
#if PARTS
var<workgroup> part: array<vec4<f32>, THREADS>;
#end
#if LSTM
var<workgroup> c: array<f32, CELLS>;
#end
#if NORM
var<workgroup> raw: array<vec4<f32>, CELLS>;
#end

fn sigmoid(x: A4) -> A4 {
  let e = exp(-abs(x));
  return select(e, A4(1.0), x >= A4()) / (1.0 + e);
}
fn activate(x: A4) -> A4 {
  let t = exp(-2.0 * abs(x));
  let nan = (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
  let limited = select(clamp(x, A4(u.low), A4(u.high)), x, nan);
  return select(limited, sign(x) * (1.0 - t) / (1.0 + t), u.tanh != 0u);
}
#if NORM
fn total(thread: u32, v: A4) -> A4 {
  part[thread] = v;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (thread < half) { part[thread] += part[thread + half]; }
    workgroupBarrier();
  }
  let sum = part[0];
  workgroupBarrier();
  return sum;
}
// Mean 0 and variance 1 over all cells, for every gate.
fn normalize(thread: u32) {
  var sum = A4();
  for (var j = thread; j < u.cells; j += THREADS) { sum += raw[j]; }
  let mean = total(thread, sum) / f32(u.cells);
  var squares = A4();
  for (var j = thread; j < u.cells; j += THREADS) { squares += (raw[j] - mean) * (raw[j] - mean); }
  let scale = 1.0 / sqrt(total(thread, squares) / f32(u.cells) + 1e-8);
  for (var j = thread; j < u.cells; j += THREADS) { raw[j] = (raw[j] - mean) * scale; }
  workgroupBarrier();
}
#end
#if LSTM
// New state and output of a cell from the gates' sums; ``late`` goes to the output gate once the state is known.
fn remember(cell: u32, g: A4, peephole: A4) -> vec2<f32> {
  let s = sigmoid(g);
  let enter = select(s.x, 1.0 - s.y, u.coupled != 0u);
  let kept = clamp(s.y * c[cell] + enter * activate(g).z, -u.cell_clip, u.cell_clip);
  return vec2<f32>(kept, g.w + kept * peephole.w);
}
fn leave(gate: f32, kept: f32) -> f32 {
  return sigmoid(A4(gate)).x * activate(A4(kept)).x;
}
#end
// What the step before, at row ``at``, gave.
fn output_of(at: u32, j: u32) -> f32 {
  return y_load4(at * u.y.c4 + j / 4u)[j % 4u];
}

fn kernel(group: vec3<u32>, local: vec3<u32>) {
  let b = group.x;
  let thread = local.x;
  let lane = thread % LANES;
  let slice = thread / LANES;
  let quads = (u.outputs + 3u) / 4u;  // h and w are 0 behind the last output
  let share = (quads + SPLIT - 1u) / SPLIT;
  let begin = min(slice * share, quads);
  let end = min(begin + share, quads);
  for (var j = thread; j < u.outputs; j += THREADS) {
#if RESUMED
    h[j] = output_of((u.first - u.stride) * u.by_step + b * u.by_batch, j);
#end
#if !RESUMED
    h[j] = s_lane(b, j);
#end
  }
#if LSTM
  for (var j = thread; j < u.cells; j += THREADS) {
#if RESUMED
    c[j] = output_of(u.rows + b, j);
#end
#if !RESUMED
    c[j] = d_lane(b, j);
#end
  }
#end
  workgroupBarrier();
  for (var n = 0u; n < u.count; n++) {
    let at = (u.first + n * u.stride) * u.by_step + b * u.by_batch;
    for (var base = 0u; base < u.cells; base += LANES) {
      let cell = min(base + lane, u.cells - 1u);
      let mine = slice == 0u && base + lane < u.cells;
      var v = A4();
      for (var k = begin; k < end; k++) {
        let at_w = k * 4u * u.cells + cell;
        v += h[4u * k] * w_load4(at_w) + h[4u * k + 1u] * w_load4(at_w + u.cells)
          + h[4u * k + 2u] * w_load4(at_w + 2u * u.cells) + h[4u * k + 3u] * w_load4(at_w + 3u * u.cells);
      }
      v = v * A4(u.scale0, u.scale1, u.scale2, u.scale3);
      v += select(A4(), x_load4(at * u.cells + cell), slice == 0u);
#if SHARED
      part[thread] = v;
      workgroupBarrier();
      for (var k = 1u; k < SPLIT; k++) { v += part[k * LANES + lane]; }
#end
#if LSTM
#if NORM
      let peephole = t_load4(cell * 3u);
      if (mine) { raw[cell] = v + c[cell] * A4(peephole.xy, 0.0, 0.0); }
#end
#if !NORM
      let peephole = t_load4(cell);
      let now = remember(cell, v + c[cell] * A4(peephole.xy, 0.0, 0.0), peephole);
      if (mine) {
        c[cell] = now.x;
        m[cell] = leave(now.y, now.x);
      }
#end
#end
#if !LSTM
      let now = activate(v);
      if (mine) {
#for l in 4
        m[cell * 4u + {l}u] = now[{l}];
#end
      }
#end
    }
    workgroupBarrier();
#if NORM
    // The output gate is normalized last, for it sees the new state.
    for (var j = thread; j < u.cells; j += THREADS) { m[j] = raw[j].w; }
    normalize(thread);
    for (var j = thread; j < u.cells; j += THREADS) {
      let g = raw[j] * t_load4(j * 3u + 1u) + t_load4(j * 3u + 2u);
      let kept = remember(j, g, A4()).x;
      c[j] = kept;
      raw[j] = A4(m[j] + kept * t_load4(j * 3u).w);
    }
    workgroupBarrier();
    normalize(thread);
    for (var j = thread; j < u.cells; j += THREADS) {
      m[j] = leave(raw[j].w * t_load4(j * 3u + 1u).w + t_load4(j * 3u + 2u).w, c[j]);
    }
    workgroupBarrier();
#end
    for (var j = thread; j < u.outputs; j += THREADS) {
#if PROJECT
      var sum = t_load4(u.offset + j / 4u)[j % 4u];
      for (var k = 0u; k < u.cells; k++) { sum += m[k] * p_load4(k * quads + j / 4u)[j % 4u]; }
      h[j] = clamp(sum, -u.out_clip, u.out_clip);
#end
#if !PROJECT
      h[j] = m[j];
#end
    }
    workgroupBarrier();
    for (var q = thread; q < quads; q += THREADS) {
      y_write4(at * u.y.c4 + q, Y4(h[4u * q], h[4u * q + 1u], h[4u * q + 2u], h[4u * q + 3u]));
    }
  }
#if LSTM
  for (var q = thread; q < (u.cells + 3u) / 4u; q += THREADS) {
    y_write4((u.rows + b) * u.y.c4 + q, Y4(c[4u * q], c[4u * q + 1u], c[4u * q + 2u], c[4u * q + 3u]));
  }
#end
}
