// Every element of y is an element of x, or the fill value: the coordinate along x's axis j is
// (y's coordinate along axis from_j) · step_j + start_j, or with TABLES entry start_j + that of the table t;
// from_j = 5 is a coordinate that is always 0. What falls outside of x, or is negative in t, is the fill value.
fn along(o: u32, step: u32, start: u32) -> u32 {
#if TABLES
  return u32(t_lane(0u, start + o));
#end
#if !TABLES
  return o * step + start;
#end
}
fn filler() -> X1 {
#if FILLER
  return f_lane(0u, 0u);
#end
#if !FILLER
  return X1(u.fill);
#end
}
fn kernel(i: u32) {
  let p = y_coord(i);
#if QUADS
  var o = array<u32, 6>(p.x / u.y.n, p.x % u.y.n, p.y, p.z, p.w, 0u);
  let s0 = along(o[u.from0], u.step0, u.start0);
  let s1 = along(o[u.from1], u.step1, u.start1);
  let s2 = along(o[u.from2], u.step2, u.start2);
  let s3 = along(o[u.from3], u.step3, u.start3);
  let s4 = p.w + u.shift;
  let ok = s0 < u.x.d && s1 < u.x.n && s2 < u.x.h && s3 < u.x.w && s4 < u.x.c4;
  let at = (((s0 * u.x.n + s1) * u.x.h + s2) * u.x.w + s3) * u.x.c4 + s4;
  y_store4_at(i, p, select(X4(filler()), x_load4(select(0u, at, ok)), ok));
#end
#if !QUADS
  var v = X4();
  var o = array<u32, 6>(p.x / u.y.n, p.x % u.y.n, p.y, p.z, 0u, 0u);
#for l in 4
  o[4] = min(p.w * 4u + {l}u, u.y.c - 1u);
  let a{l} = along(o[u.from0], u.step0, u.start0);
  let b{l} = along(o[u.from1], u.step1, u.start1);
  let c{l} = along(o[u.from2], u.step2, u.start2);
  let d{l} = along(o[u.from3], u.step3, u.start3);
  let e{l} = along(o[u.from4], u.step4, u.start4);
  let ok{l} = a{l} < u.x.d && b{l} < u.x.n && c{l} < u.x.h && d{l} < u.x.w && e{l} < u.x.c;
  let row{l} = ((a{l} * u.x.n + b{l}) * u.x.h + c{l}) * u.x.w + d{l};
  v[{l}] = select(filler(), x_lane(select(0u, row{l}, ok{l}), select(0u, e{l}, ok{l})), ok{l});
#end
  y_store4_at(i, p, v);
#end
}
