// y [n, h = depth, w] or (LAST) [w, c = depth]: x where the index at (n, w) is the position along depth, else z.
fn kernel(i: u32) {
  let p = y_coord(i);
  var v = Y4();
#for l in 4
#if LAST
  let e{l} = p.z;
  let k{l} = p.w * 4u + {l}u;
#end
#if !LAST
  let e{l} = p.y * u.y.c + min(p.w * 4u + {l}u, u.y.c - 1u);
  let k{l} = p.z;
#end
  let is{l} = u32(index_lane(e{l} / u.index.c, e{l} % u.index.c)) == k{l};
  v[{l}] = select(z_lane(0u, 0u), x_lane(0u, 0u), is{l});
#end
  y_store4_at(i, p, v);
}
