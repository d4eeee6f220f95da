// One step of a recurrent layer; operands and results as in recurrent.wgsl. A workgroup of THREADS computes CELLS cells
// of one sequence: THREADS / CELLS of them share the sum of each.
var<workgroup> part: array<vec4<f32>, THREADS>;
var<workgroup> given: array<f32, CELLS>;
var<workgroup> kept: array<f32, CELLS>;

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
// Four outputs of the step before, 0 behind the last one.
fn before(b: u32, k: u32) -> A4 {
#if RESUMED
  return y_load4(((u.first - u.stride) * u.by_step + b * u.by_batch) * u.y.c4 + k);
#end
#if !RESUMED
  return s_load4(b * u.s.c4 + k);
#end
}
#if LSTM
fn state(b: u32, cell: u32) -> f32 {
#if RESUMED
  return y_load4((u.rows + b) * u.y.c4 + cell / 4u)[cell % 4u];
#end
#if !RESUMED
  return d_lane(b, cell);
#end
}
#end

fn kernel(group: vec3<u32>, local: vec3<u32>) {
  let b = group.y;
  let thread = local.x;
  let lane = thread % CELLS;
  let wanted = group.x * CELLS + lane;
  let cell = min(wanted, u.cells - 1u);
  let at = u.first * u.by_step + b * u.by_batch;
  let quads = (u.outputs + 3u) / 4u;
  var v = A4();
  for (var k = thread / CELLS; k < quads; k += THREADS / CELLS) {
    let at_w = k * 4u * u.cells + cell;
    let h = before(b, k);
    v += h.x * w_load4(at_w) + h.y * w_load4(at_w + u.cells)
      + h.z * w_load4(at_w + 2u * u.cells) + h.w * w_load4(at_w + 3u * u.cells);
  }
  part[thread] = v;
  workgroupBarrier();
  for (var half = THREADS / 2u; half >= CELLS; half /= 2u) {
    if (thread < half) { part[thread] += part[thread + half]; }
    workgroupBarrier();
  }
  v = part[lane] * A4(u.scale0, u.scale1, u.scale2, u.scale3) + x_load4(at * u.cells + cell);
#if LSTM
  let peephole = t_load4(cell);
  let old = state(b, cell);
  let g = v + old * A4(peephole.xy, 0.0, 0.0);
  let s = sigmoid(g);
  let enter = select(s.x, 1.0 - s.y, u.coupled != 0u);
  let next = clamp(s.y * old + enter * activate(g).z, -u.cell_clip, u.cell_clip);
  let out = sigmoid(A4(g.w + next * peephole.w)).x * activate(A4(next)).x;
  if (thread < CELLS) {
    given[lane] = select(0.0, out, wanted < u.cells);
    kept[lane] = select(0.0, next, wanted < u.cells);
  }
  workgroupBarrier();
  if (thread == 0u) {
    y_write4(at * u.y.c4 + group.x, A4(given[0], given[1], given[2], given[3]));
    y_write4((u.rows + b) * u.y.c4 + group.x, A4(kept[0], kept[1], kept[2], kept[3]));
  }
#end
#if !LSTM
  if (thread < CELLS && wanted < u.cells) { y_write4(at * u.y.c4 + cell, activate(v)); }
#end
}
