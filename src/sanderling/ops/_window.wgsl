// Combines the elements under a window that slides along all five axes.
fn kernel(i: u32) {
  let p = y_coord(i);
  var v = X4(z_lane(0u, 0u));
#for l in 4
  let last{l} = min(p.w * 4u + {l}u, u.y.c - 1u);
  for (var k = 0u; k < u.taps; k++) {
    let t4 = k % u.window4;
    let r3 = k / u.window4;
    let t3 = r3 % u.window3;
    let r2 = r3 / u.window3;
    let t2 = r2 % u.window2;
    let r1 = r2 / u.window2;
    let a = p.x / u.y.n * u.stride0 + r1 / u.window1 * u.dilation0;
    let b = p.x % u.y.n * u.stride1 + r1 % u.window1 * u.dilation1;
    let c = p.y * u.stride2 + t2 * u.dilation2;
    let d = p.z * u.stride3 + t3 * u.dilation3;
    let e = last{l} * u.stride4 + t4 * u.dilation4;
    let x = x_lane(((a * u.x.n + b) * u.x.h + c) * u.x.w + d, e);
#if SUM
    v[{l}] += x;
#end
#if PROD
    v[{l}] *= x;
#end
#if MAX
    v[{l}] = max(v[{l}], x);
#end
#if MIN
    v[{l}] = min(v[{l}], x);
#end
  }
#end
  y_store4_at(i, p, v);
}
