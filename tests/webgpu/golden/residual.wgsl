struct Dims { d: u32, n: u32, h: u32, w: u32, c: u32, c4: u32, scale: f32, zero_point: f32 }
struct Uniforms { grid: vec4<u32>, x: Dims, y: Dims, elements: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> b0: array<f32>;
@group(0) @binding(2) var<storage, read_write> b1: array<vec4<f32>>;
alias A4 = vec4<f32>;
alias A1 = f32;
alias X4 = vec4<f32>;
alias X1 = f32;
alias Y4 = vec4<f32>;
alias Y1 = f32;
fn x_lane(row: u32, c: u32) -> f32 { return b0[row * u.x.c4 * 4u + c]; }
fn y_load4(i: u32) -> vec4<f32> { return b1[i]; }
fn y_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.y.h + y) * u.y.w + x) * u.y.c4 + c4; }
fn y_coord(i: u32) -> vec4<u32> {
  let row = i / u.y.c4;
  let line = row / u.y.w;
  return vec4<u32>(line / u.y.h, line % u.y.h, row % u.y.w, i % u.y.c4);
}
fn y_write4(i: u32, v: vec4<f32>) { b1[i] = v; }
struct Channel { none: u32 }
fn y_channel(c4: u32) -> Channel { return Channel(c4); }
fn y_store4_steps(to: Channel, i: u32, p: vec4<u32>, v0: vec4<f32>) {
  y_write4(i, select(vec4<f32>(), v0, p.w * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.y.c)));
}
fn y_store4_at(i: u32, p: vec4<u32>, v: vec4<f32>) { y_store4_steps(y_channel(p.w), i, p, v); }
fn y_store4(n: u32, y: u32, x: u32, c4: u32, v: vec4<f32>) { y_store4_at(y_at(n, y, x, c4), vec4<u32>(n, y, x, c4), v); }
fn y_store4_to(to: Channel, n: u32, y: u32, x: u32, c4: u32, v: vec4<f32>) { y_store4_steps(to, y_at(n, y, x, c4), vec4<u32>(n, y, x, c4), v); }
// The elements of x in their order, under another last axis.
fn kernel(i: u32) {
  let p = y_coord(i);
  let first = i / u.y.c4 * u.y.c + p.w * 4u;
  var v = X4();
  let e0 = min(first + 0u, u.elements - 1u);
  v[0] = x_lane(e0 / u.x.c, e0 % u.x.c);
  let e1 = min(first + 1u, u.elements - 1u);
  v[1] = x_lane(e1 / u.x.c, e1 % u.x.c);
  let e2 = min(first + 2u, u.elements - 1u);
  v[2] = x_lane(e2 / u.x.c, e2 % u.x.c);
  let e3 = min(first + 3u, u.elements - 1u);
  v[3] = x_lane(e3 / u.x.c, e3 % u.x.c);
  y_store4_at(i, p, v);
}
@compute @workgroup_size(64, 1, 1)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>
) {
  let i = id.x + id.y * groups.x * 64u;
  if (i < u.grid.x) { kernel(i); }
}

struct Dims { d: u32, n: u32, h: u32, w: u32, c: u32, c4: u32, scale: f32, zero_point: f32 }
struct Uniforms { grid: vec4<u32>, x: Dims, w: Dims, k: Dims, y: Dims, s0_b: u32, s1_low: f32, s1_high: f32, filter_h: u32, filter_w: u32, stride_h: u32, stride_w: u32, dilation_h: u32, dilation_w: u32, pad_top: u32, pad_left: u32, group_in: u32, group_out: u32, depth: u32, first_block: u32, blocks: u32, per_image: u32, last_quad: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> b0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b2: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> b3: array<vec4<f32>>;
alias A4 = vec4<f32>;
alias A1 = f32;
alias X4 = vec4<f32>;
alias X1 = f32;
alias Y4 = vec4<f32>;
alias Y1 = f32;
const GROUPS: u32 = 1u;
const LANES: u32 = 1u;
const OUT: u32 = 1u;
const SHARED: u32 = 0u;
const DEEP: u32 = 4u;
const NARROW: u32 = 0u;
const LOOPED: u32 = 0u;
const MOVES: u32 = 0u;
const SHIFTS: u32 = 0u;
fn x_load4(i: u32) -> vec4<f32> { return b0[i]; }
fn x_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.x.h + y) * u.x.w + x) * u.x.c4 + c4; }
fn x_load4_or0(ok: bool, i: u32) -> vec4<f32> { return select(vec4<f32>(), x_load4(select(0u, i, ok)), ok); }
fn x_lane(row: u32, c: u32) -> f32 { return x_load4(row * u.x.c4 + c / 4u)[c % 4u]; }
fn w_load4(i: u32) -> vec4<f32> { return b1[i]; }
fn w_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.w.h + y) * u.w.w + x) * u.w.c4 + c4; }
fn w_load4_or0(ok: bool, i: u32) -> vec4<f32> { return select(vec4<f32>(), w_load4(select(0u, i, ok)), ok); }
fn w_lane(row: u32, c: u32) -> f32 { return w_load4(row * u.w.c4 + c / 4u)[c % 4u]; }
fn k_load4(i: u32) -> vec4<f32> { return b2[i]; }
fn k_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.k.h + y) * u.k.w + x) * u.k.c4 + c4; }
fn k_load4_or0(ok: bool, i: u32) -> vec4<f32> { return select(vec4<f32>(), k_load4(select(0u, i, ok)), ok); }
fn k_lane(row: u32, c: u32) -> f32 { return k_load4(row * u.k.c4 + c / 4u)[c % 4u]; }
fn step0(x: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return x + b; }
fn step1(x: vec4<f32>, low: f32, high: f32) -> vec4<f32> { return select(clamp(x, vec4<f32>(low), vec4<f32>(high)), x, (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u)); }
fn y_load4(i: u32) -> vec4<f32> { return b3[i]; }
fn y_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.y.h + y) * u.y.w + x) * u.y.c4 + c4; }
fn y_coord(i: u32) -> vec4<u32> {
  let row = i / u.y.c4;
  let line = row / u.y.w;
  return vec4<u32>(line / u.y.h, line % u.y.h, row % u.y.w, i % u.y.c4);
}
fn y_write4(i: u32, v: vec4<f32>) { b3[i] = v; }
struct Channel { s0_b: vec4<f32> }
fn y_channel(c4: u32) -> Channel { return Channel(k_load4(u.s0_b + c4)); }
fn y_store4_steps(to: Channel, i: u32, p: vec4<u32>, v0: vec4<f32>) {
  let v1 = step0(v0, to.s0_b);
  let v2 = step1(v1, u.s1_low, u.s1_high);
  y_write4(i, select(vec4<f32>(), v2, p.w * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.y.c)));
}
fn y_store4_at(i: u32, p: vec4<u32>, v: vec4<f32>) { y_store4_steps(y_channel(p.w), i, p, v); }
fn y_store4(n: u32, y: u32, x: u32, c4: u32, v: vec4<f32>) { y_store4_at(y_at(n, y, x, c4), vec4<u32>(n, y, x, c4), v); }
fn y_store4_to(to: Channel, n: u32, y: u32, x: u32, c4: u32, v: vec4<f32>) { y_store4_steps(to, y_at(n, y, x, c4), vec4<u32>(n, y, x, c4), v); }
// One thread: GROUPS × LANES neighbours of a row × OUT vec4 of output channels, kept in registers.
// w [block of OUT vec4, ky, kx, c4, input lane, OUT]. A block reads only the input channels of its groups:
// depth vec4, from the first that belongs to its first group on; w is 0 for what lies between groups.
// This dispatch has the weights of ``blocks`` blocks, beginning with first_block; per_image is 0 where all images have
// the same.
// NARROW: of a vec4 of input channels only the first DEEP are there.
// SHARED: the four threads of a quad have the same pixels, every one loads a quarter of them for all.
fn kernel(id: vec3<u32>) {
  let here = id.y;
  let x0 = id.x * (GROUPS * LANES);
  let block = u.first_block + here;
  let n = id.z / u.y.h;
  let y = id.z % u.y.h;
  let first = min(block * OUT * 4u / u.group_out * u.group_in / 4u, u.x.c4 - u.depth);
  var v0_0_0_0 = 0.0;
  var v0_0_0_1 = 0.0;
  var v0_0_0_2 = 0.0;
  var v0_0_0_3 = 0.0;
  var at_w = n * u.per_image + here * u.filter_h * u.filter_w * u.depth * 4u * OUT;
  var ky = 0u;
  loop {
    let iy = y * u.stride_h + ky * u.dilation_h - u.pad_top;
    var kx = 0u;
    loop {
      let ix = x0 * u.stride_w + kx * u.dilation_w - u.pad_left;
      let x0_0 = ix + (0u * LANES + 0u) * u.stride_w;
      let ok0_0 = iy < u.x.h && x0_0 < u.x.w;
      let at0_0 = x_at(n, iy, x0_0, first);
      var c4 = 0u;
      loop {
        let w0_0 = w_load4(at_w + 0u * OUT + 0u);
        let w1_0 = w_load4(at_w + 1u * OUT + 0u);
        let w2_0 = w_load4(at_w + 2u * OUT + 0u);
        let w3_0 = w_load4(at_w + 3u * OUT + 0u);
        let a0_0 = x_load4_or0(ok0_0, at0_0 + c4);
        v0_0_0_0 += A1(a0_0.x * w0_0[0] + a0_0.y * w1_0[0] + a0_0.z * w2_0[0] + a0_0.w * w3_0[0]);
        v0_0_0_1 += A1(a0_0.x * w0_0[1] + a0_0.y * w1_0[1] + a0_0.z * w2_0[1] + a0_0.w * w3_0[1]);
        v0_0_0_2 += A1(a0_0.x * w0_0[2] + a0_0.y * w1_0[2] + a0_0.z * w2_0[2] + a0_0.w * w3_0[2]);
        v0_0_0_3 += A1(a0_0.x * w0_0[3] + a0_0.y * w1_0[3] + a0_0.z * w2_0[3] + a0_0.w * w3_0[3]);
        at_w += 4u * OUT;
        continuing { c4++; break if c4 >= u.depth; }
      }
      continuing { kx++; break if kx >= u.filter_w; }
    }
    continuing { ky++; break if ky >= u.filter_h; }
  }
  let to0 = y_channel(block * OUT + 0u);
  if (x0 + 0u * LANES + 0u < u.y.w && block * OUT + 0u < u.last_quad) {
    let v = A4(v0_0_0_0, v0_0_0_1, v0_0_0_2, v0_0_0_3);
    y_store4_to(to0, n, y, x0 + 0u * LANES + 0u, block * OUT + 0u, v);
  }
}
@compute @workgroup_size(64, 1, 1)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>
) {
  let i = id.x + id.y * groups.x * 64u;
  let row = i / u.grid.x;
  if (row < u.grid.y * u.grid.z) { kernel(vec3<u32>(i % u.grid.x, row % u.grid.y, row / u.grid.y)); }
}

struct Dims { d: u32, n: u32, h: u32, w: u32, c: u32, c4: u32, scale: f32, zero_point: f32 }
struct Uniforms { grid: vec4<u32>, x: Dims, w: Dims, k: Dims, y: Dims, s2_y: Dims, s0_b: u32, s1_low: f32, s1_high: f32, s3_low: f32, s3_high: f32, filter_h: u32, filter_w: u32, stride_h: u32, stride_w: u32, dilation_h: u32, dilation_w: u32, pad_top: u32, pad_left: u32, group_in: u32, group_out: u32, depth: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> b0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b2: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> b3: array<vec4<f32>>;
alias A4 = vec4<f32>;
alias A1 = f32;
alias X4 = vec4<f32>;
alias X1 = f32;
alias Y4 = vec4<f32>;
alias Y1 = f32;
const PIXELS: u32 = 4u;
const THREADS: u32 = 64u;
fn x_load4(i: u32) -> vec4<f32> { return b0[i]; }
fn x_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.x.h + y) * u.x.w + x) * u.x.c4 + c4; }
fn x_load4_or0(ok: bool, i: u32) -> vec4<f32> { return select(vec4<f32>(), x_load4(select(0u, i, ok)), ok); }
fn x_lane(row: u32, c: u32) -> f32 { return x_load4(row * u.x.c4 + c / 4u)[c % 4u]; }
fn w_load4(i: u32) -> vec4<f32> { return b1[i]; }
fn w_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.w.h + y) * u.w.w + x) * u.w.c4 + c4; }
fn w_load4_or0(ok: bool, i: u32) -> vec4<f32> { return select(vec4<f32>(), w_load4(select(0u, i, ok)), ok); }
fn w_lane(row: u32, c: u32) -> f32 { return w_load4(row * u.w.c4 + c / 4u)[c % 4u]; }
fn k_load4(i: u32) -> vec4<f32> { return b2[i]; }
fn k_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.k.h + y) * u.k.w + x) * u.k.c4 + c4; }
fn k_load4_or0(ok: bool, i: u32) -> vec4<f32> { return select(vec4<f32>(), k_load4(select(0u, i, ok)), ok); }
fn k_lane(row: u32, c: u32) -> f32 { return k_load4(row * u.k.c4 + c / 4u)[c % 4u]; }
fn step0(x: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return x + b; }
fn step1(x: vec4<f32>, low: f32, high: f32) -> vec4<f32> { return select(clamp(x, vec4<f32>(low), vec4<f32>(high)), x, (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u)); }
fn s2_y_load4(i: u32) -> vec4<f32> { return b0[i]; }
fn step2(x: vec4<f32>, y: vec4<f32>) -> vec4<f32> { return x + y; }
fn step3(x: vec4<f32>, low: f32, high: f32) -> vec4<f32> { return select(clamp(x, vec4<f32>(low), vec4<f32>(high)), x, (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u)); }
fn step4(x: vec4<f32>) -> vec4<f32> { return x * clamp(x + 3.0, vec4<f32>(), vec4<f32>(6.0)) / 6.0; }
fn y_load4(i: u32) -> vec4<f32> { return b3[i]; }
fn y_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.y.h + y) * u.y.w + x) * u.y.c4 + c4; }
fn y_coord(i: u32) -> vec4<u32> {
  let row = i / u.y.c4;
  let line = row / u.y.w;
  return vec4<u32>(line / u.y.h, line % u.y.h, row % u.y.w, i % u.y.c4);
}
fn y_write4(i: u32, v: vec4<f32>) { b3[i] = v; }
struct Channel { s0_b: vec4<f32> }
fn y_channel(c4: u32) -> Channel { return Channel(k_load4(u.s0_b + c4)); }
fn y_store4_steps(to: Channel, i: u32, p: vec4<u32>, v0: vec4<f32>) {
  let v1 = step0(v0, to.s0_b);
  let v2 = step1(v1, u.s1_low, u.s1_high);
  let v3 = step2(v2, s2_y_load4(i));
  let v4 = step3(v3, u.s3_low, u.s3_high);
  let v5 = step4(v4);
  y_write4(i, select(vec4<f32>(), v5, p.w * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.y.c)));
}
fn y_store4_at(i: u32, p: vec4<u32>, v: vec4<f32>) { y_store4_steps(y_channel(p.w), i, p, v); }
fn y_store4(n: u32, y: u32, x: u32, c4: u32, v: vec4<f32>) { y_store4_at(y_at(n, y, x, c4), vec4<u32>(n, y, x, c4), v); }
fn y_store4_to(to: Channel, n: u32, y: u32, x: u32, c4: u32, v: vec4<f32>) { y_store4_steps(to, y_at(n, y, x, c4), vec4<u32>(n, y, x, c4), v); }
// One workgroup of THREADS: PIXELS neighbours of a row × one vec4 of output channels. Its threads share the sum over
// taps and input channels, for images so small that they would not fill the GPU otherwise. w as in conv_2d.wgsl.
var<workgroup> part: array<vec4<f32>, THREADS * PIXELS>;

fn kernel(group: vec3<u32>, local: vec3<u32>) {
  let block = group.x;
  let x0 = group.y * PIXELS;
  let n = group.z / u.y.h;
  let y = group.z % u.y.h;
  let first = min(block * 4u / u.group_out * u.group_in / 4u, u.x.c4 - u.depth);
  let rounds = u.filter_h * u.filter_w * u.depth;
  var v0 = A4();
  var v1 = A4();
  var v2 = A4();
  var v3 = A4();
  for (var t = local.x; t < rounds; t += THREADS) {
    let tap = t / u.depth;
    let iy = y * u.stride_h + tap / u.filter_w * u.dilation_h - u.pad_top;
    let ix = x0 * u.stride_w + tap % u.filter_w * u.dilation_w - u.pad_left;
    let c4 = first + t % u.depth;
    let at_w = (block * rounds + t) * 4u;
    let wx = w_load4(at_w);
    let wy = w_load4(at_w + 1u);
    let wz = w_load4(at_w + 2u);
    let ww = w_load4(at_w + 3u);
    let x0 = ix + 0u * u.stride_w;
    let a0 = x_load4_or0(iy < u.x.h && x0 < u.x.w, x_at(n, iy, x0, c4));
    v0 += A4(a0.x * wx + a0.y * wy + a0.z * wz + a0.w * ww);
    let x1 = ix + 1u * u.stride_w;
    let a1 = x_load4_or0(iy < u.x.h && x1 < u.x.w, x_at(n, iy, x1, c4));
    v1 += A4(a1.x * wx + a1.y * wy + a1.z * wz + a1.w * ww);
    let x2 = ix + 2u * u.stride_w;
    let a2 = x_load4_or0(iy < u.x.h && x2 < u.x.w, x_at(n, iy, x2, c4));
    v2 += A4(a2.x * wx + a2.y * wy + a2.z * wz + a2.w * ww);
    let x3 = ix + 3u * u.stride_w;
    let a3 = x_load4_or0(iy < u.x.h && x3 < u.x.w, x_at(n, iy, x3, c4));
    v3 += A4(a3.x * wx + a3.y * wy + a3.z * wz + a3.w * ww);
  }
  part[local.x * PIXELS + 0u] = v0;
  part[local.x * PIXELS + 1u] = v1;
  part[local.x * PIXELS + 2u] = v2;
  part[local.x * PIXELS + 3u] = v3;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (local.x < half) {
      part[local.x * PIXELS + 0u] += part[(local.x + half) * PIXELS + 0u];
      part[local.x * PIXELS + 1u] += part[(local.x + half) * PIXELS + 1u];
      part[local.x * PIXELS + 2u] += part[(local.x + half) * PIXELS + 2u];
      part[local.x * PIXELS + 3u] += part[(local.x + half) * PIXELS + 3u];
    }
    workgroupBarrier();
  }
  if (local.x < PIXELS && x0 + local.x < u.y.w) {
    y_store4(n, y, x0 + local.x, block, part[local.x]);
  }
}
@compute @workgroup_size(64, 1, 1)
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>
) {
  kernel(group, local);
}

struct Dims { d: u32, n: u32, h: u32, w: u32, c: u32, c4: u32, scale: f32, zero_point: f32 }
struct Uniforms { grid: vec4<u32>, x: Dims, w: Dims, k: Dims, y: Dims, s0_b: u32, s1_low: f32, s1_high: f32, filter_h: u32, filter_w: u32, stride_h: u32, stride_w: u32, dilation_h: u32, dilation_w: u32, pad_top: u32, pad_left: u32, group_in: u32, group_out: u32, depth: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> b0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b2: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> b3: array<vec4<f32>>;
alias A4 = vec4<f32>;
alias A1 = f32;
alias X4 = vec4<f32>;
alias X1 = f32;
alias Y4 = vec4<f32>;
alias Y1 = f32;
const PIXELS: u32 = 1u;
const THREADS: u32 = 64u;
fn x_load4(i: u32) -> vec4<f32> { return b0[i]; }
fn x_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.x.h + y) * u.x.w + x) * u.x.c4 + c4; }
fn x_load4_or0(ok: bool, i: u32) -> vec4<f32> { return select(vec4<f32>(), x_load4(select(0u, i, ok)), ok); }
fn x_lane(row: u32, c: u32) -> f32 { return x_load4(row * u.x.c4 + c / 4u)[c % 4u]; }
fn w_load4(i: u32) -> vec4<f32> { return b1[i]; }
fn w_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.w.h + y) * u.w.w + x) * u.w.c4 + c4; }
fn w_load4_or0(ok: bool, i: u32) -> vec4<f32> { return select(vec4<f32>(), w_load4(select(0u, i, ok)), ok); }
fn w_lane(row: u32, c: u32) -> f32 { return w_load4(row * u.w.c4 + c / 4u)[c % 4u]; }
fn k_load4(i: u32) -> vec4<f32> { return b2[i]; }
fn k_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.k.h + y) * u.k.w + x) * u.k.c4 + c4; }
fn k_load4_or0(ok: bool, i: u32) -> vec4<f32> { return select(vec4<f32>(), k_load4(select(0u, i, ok)), ok); }
fn k_lane(row: u32, c: u32) -> f32 { return k_load4(row * u.k.c4 + c / 4u)[c % 4u]; }
fn step0(x: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return x + b; }
fn step1(x: vec4<f32>, low: f32, high: f32) -> vec4<f32> { return select(clamp(x, vec4<f32>(low), vec4<f32>(high)), x, (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u)); }
fn y_load4(i: u32) -> vec4<f32> { return b3[i]; }
fn y_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.y.h + y) * u.y.w + x) * u.y.c4 + c4; }
fn y_coord(i: u32) -> vec4<u32> {
  let row = i / u.y.c4;
  let line = row / u.y.w;
  return vec4<u32>(line / u.y.h, line % u.y.h, row % u.y.w, i % u.y.c4);
}
fn y_write4(i: u32, v: vec4<f32>) { b3[i] = v; }
struct Channel { s0_b: vec4<f32> }
fn y_channel(c4: u32) -> Channel { return Channel(k_load4(u.s0_b + c4)); }
fn y_store4_steps(to: Channel, i: u32, p: vec4<u32>, v0: vec4<f32>) {
  let v1 = step0(v0, to.s0_b);
  let v2 = step1(v1, u.s1_low, u.s1_high);
  y_write4(i, select(vec4<f32>(), v2, p.w * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.y.c)));
}
fn y_store4_at(i: u32, p: vec4<u32>, v: vec4<f32>) { y_store4_steps(y_channel(p.w), i, p, v); }
fn y_store4(n: u32, y: u32, x: u32, c4: u32, v: vec4<f32>) { y_store4_at(y_at(n, y, x, c4), vec4<u32>(n, y, x, c4), v); }
fn y_store4_to(to: Channel, n: u32, y: u32, x: u32, c4: u32, v: vec4<f32>) { y_store4_steps(to, y_at(n, y, x, c4), vec4<u32>(n, y, x, c4), v); }
// One workgroup of THREADS: PIXELS neighbours of a row × one vec4 of output channels. Its threads share the sum over
// taps and input channels, for images so small that they would not fill the GPU otherwise. w as in conv_2d.wgsl.
var<workgroup> part: array<vec4<f32>, THREADS * PIXELS>;

fn kernel(group: vec3<u32>, local: vec3<u32>) {
  let block = group.x;
  let x0 = group.y * PIXELS;
  let n = group.z / u.y.h;
  let y = group.z % u.y.h;
  let first = min(block * 4u / u.group_out * u.group_in / 4u, u.x.c4 - u.depth);
  let rounds = u.filter_h * u.filter_w * u.depth;
  var v0 = A4();
  for (var t = local.x; t < rounds; t += THREADS) {
    let tap = t / u.depth;
    let iy = y * u.stride_h + tap / u.filter_w * u.dilation_h - u.pad_top;
    let ix = x0 * u.stride_w + tap % u.filter_w * u.dilation_w - u.pad_left;
    let c4 = first + t % u.depth;
    let at_w = (block * rounds + t) * 4u;
    let wx = w_load4(at_w);
    let wy = w_load4(at_w + 1u);
    let wz = w_load4(at_w + 2u);
    let ww = w_load4(at_w + 3u);
    let x0 = ix + 0u * u.stride_w;
    let a0 = x_load4_or0(iy < u.x.h && x0 < u.x.w, x_at(n, iy, x0, c4));
    v0 += A4(a0.x * wx + a0.y * wy + a0.z * wz + a0.w * ww);
  }
  part[local.x * PIXELS + 0u] = v0;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (local.x < half) {
      part[local.x * PIXELS + 0u] += part[(local.x + half) * PIXELS + 0u];
    }
    workgroupBarrier();
  }
  if (local.x < PIXELS && x0 + local.x < u.y.w) {
    y_store4(n, y, x0 + local.x, block, part[local.x]);
  }
}
@compute @workgroup_size(64, 1, 1)
fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>
) {
  kernel(group, local);
}

struct Dims { d: u32, n: u32, h: u32, w: u32, c: u32, c4: u32, scale: f32, zero_point: f32 }
struct Uniforms { grid: vec4<u32>, x: Dims, y: Dims, beta: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> b0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> b1: array<vec4<f32>>;
alias A4 = vec4<f32>;
alias A1 = f32;
alias X4 = vec4<f32>;
alias X1 = f32;
alias Y4 = vec4<f32>;
alias Y1 = f32;
const WIDE: u32 = 0u;
fn x_load4(i: u32) -> vec4<f32> { return b0[i]; }
fn x_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.x.h + y) * u.x.w + x) * u.x.c4 + c4; }
fn x_load4_or0(ok: bool, i: u32) -> vec4<f32> { return select(vec4<f32>(), x_load4(select(0u, i, ok)), ok); }
fn x_lane(row: u32, c: u32) -> f32 { return x_load4(row * u.x.c4 + c / 4u)[c % 4u]; }
fn y_load4(i: u32) -> vec4<f32> { return b1[i]; }
fn y_at(n: u32, y: u32, x: u32, c4: u32) -> u32 { return ((n * u.y.h + y) * u.y.w + x) * u.y.c4 + c4; }
fn y_coord(i: u32) -> vec4<u32> {
  let row = i / u.y.c4;
  let line = row / u.y.w;
  return vec4<u32>(line / u.y.h, line % u.y.h, row % u.y.w, i % u.y.c4);
}
fn y_write4(i: u32, v: vec4<f32>) { b1[i] = v; }
struct Channel { none: u32 }
fn y_channel(c4: u32) -> Channel { return Channel(c4); }
fn y_store4_steps(to: Channel, i: u32, p: vec4<u32>, v0: vec4<f32>) {
  y_write4(i, select(vec4<f32>(), v0, p.w * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.y.c)));
}
fn y_store4_at(i: u32, p: vec4<u32>, v: vec4<f32>) { y_store4_steps(y_channel(p.w), i, p, v); }
fn y_store4(n: u32, y: u32, x: u32, c4: u32, v: vec4<f32>) { y_store4_at(y_at(n, y, x, c4), vec4<u32>(n, y, x, c4), v); }
fn y_store4_to(to: Channel, n: u32, y: u32, x: u32, c4: u32, v: vec4<f32>) { y_store4_steps(to, y_at(n, y, x, c4), vec4<u32>(n, y, x, c4), v); }
// x [w, c]: one thread per row, or (WIDE) a workgroup of THREADS per row, whose threads share its elements.
fn inside(c4: u32) -> vec4<bool> {
  return c4 * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.x.c);
}
fn kernel(row: u32) {
  let at = row * u.x.c4;
  var most = A4(x_load4(at).x);
  var i = 0u;
  loop {
    most = max(most, select(most, x_load4(at + i), inside(i)));
    continuing { i++; break if i >= u.x.c4; }
  }
  let top = max(max(most.x, most.y), max(most.z, most.w));
  var sum = A4();
  var j = 0u;
  loop {
    sum += select(A4(), exp((x_load4(at + j) - top) * u.beta), inside(j));
    continuing { j++; break if j >= u.x.c4; }
  }
  let total = sum.x + sum.y + sum.z + sum.w;
  var k = 0u;
  loop {
    y_store4(0u, 0u, row, k, exp((x_load4(at + k) - top) * u.beta) / total);
    continuing { k++; break if k >= u.x.c4; }
  }
}
@compute @workgroup_size(64, 1, 1)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>
) {
  let i = id.x + id.y * groups.x * 64u;
  if (i < u.grid.x) { kernel(i); }
}
