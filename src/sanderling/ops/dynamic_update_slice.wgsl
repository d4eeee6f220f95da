// y is x, but where the update d lies: from the position s on, moved in where it would reach out of x.
fn begin(axis: u32, size: u32, part: u32) -> u32 {
  let e = max(axis, u.first) - u.first;
  let given = s_lane(e / u.s.c, e % u.s.c);
  return select(0u, u32(clamp(given, 0, i32(size - part))), axis >= u.first);
}
fn kernel(i: u32) {
  let p = y_coord(i);
  let a = p.x / u.y.n - begin(0u, u.y.d, u.d.d);
  let b = p.x % u.y.n - begin(1u, u.y.n, u.d.n);
  let c = p.y - begin(2u, u.y.h, u.d.h);
  let e = p.z - begin(3u, u.y.w, u.d.w);
  let first = begin(4u, u.y.c, u.d.c);
  let row = a < u.d.d && b < u.d.n && c < u.d.h && e < u.d.w;
  let at = ((a * u.d.n + b) * u.d.h + c) * u.d.w + e;
  var v = x_load4(i);
#for l in 4
  let f{l} = p.w * 4u + {l}u - first;
  let ok{l} = row && f{l} < u.d.c;
  v[{l}] = select(v[{l}], d_lane(select(0u, at, ok{l}), select(0u, f{l}, ok{l})), ok{l});
#end
  y_store4_at(i, p, v);
}
