// y [n, h, c]: the diagonal d [w, c] where row and column are equal, elsewhere x or (without KEEP) zero.
fn kernel(i: u32) {
  let p = y_coord(i);
  let n = p.y;
#if KEEP
  var v = x_load4(i);
#end
#if !KEEP
  var v = Y4();
#end
#for l in 4
  let on{l} = p.z == p.w * 4u + {l}u && p.z < u.d.c;
  v[{l}] = select(v[{l}], d_lane(n, select(0u, p.z, on{l})), on{l});
#end
  y_store4_at(i, p, v);
}
