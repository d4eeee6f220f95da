// Every element of y is one of x. Along axis j of x it lies as far behind a slice's begin as y's coordinate along axis
// off_j says; the begin is entry from_j of index [rows, DEPTH], brought so far in that the slice lies inside. y's
// coordinates times by_j give the row. Axis 5 and entry 5 are always 0.
fn begin(s: i32, last: u32) -> u32 {
  return u32(clamp(s, 0, i32(last)));
}
fn kernel(i: u32) {
  let p = y_coord(i);
  var v = X4();
  var o = array<u32, 6>(p.x / u.y.n, p.x % u.y.n, p.y, p.z, 0u, 0u);
  var s = array<i32, 6>(0, 0, 0, 0, 0, 0);
#for l in 4
  o[4] = min(p.w * 4u + {l}u, u.y.c - 1u);
  let r{l} = o[0] * u.by0 + o[1] * u.by1 + o[2] * u.by2 + o[3] * u.by3 + o[4] * u.by4;
#for k in DEPTH
  s[{k}] = index_lane(r{l}, {k}u);
#end
  let a{l} = begin(s[u.from0], u.last0) + o[u.off0];
  let b{l} = begin(s[u.from1], u.last1) + o[u.off1];
  let c{l} = begin(s[u.from2], u.last2) + o[u.off2];
  let d{l} = begin(s[u.from3], u.last3) + o[u.off3];
  let e{l} = begin(s[u.from4], u.last4) + o[u.off4];
  v[{l}] = x_lane(((a{l} * u.x.n + b{l}) * u.x.h + c{l}) * u.x.w + d{l}, e{l});
#end
  y_store4_at(i, p, v);
}
