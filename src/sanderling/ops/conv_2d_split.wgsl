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
#for p in PIXELS
  var v{p} = A4();
#end
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
#for p in PIXELS
    let x{p} = ix + {p}u * u.stride_w;
    let a{p} = x_load4_or0(iy < u.x.h && x{p} < u.x.w, x_at(n, iy, x{p}, c4));
    v{p} += A4(a{p}.x * wx + a{p}.y * wy + a{p}.z * wz + a{p}.w * ww);
#end
  }
#for p in PIXELS
  part[local.x * PIXELS + {p}u] = v{p};
#end
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (local.x < half) {
#for p in PIXELS
      part[local.x * PIXELS + {p}u] += part[(local.x + half) * PIXELS + {p}u];
#end
    }
    workgroupBarrier();
  }
  if (local.x < PIXELS && x0 + local.x < u.y.w) {
    y_store4(n, y, x0 + local.x, block, part[local.x]);
  }
}
