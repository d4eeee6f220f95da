// x [d, n, h, w, c] with the first elements of every sequence in reverse: the sequence is the coordinate along
// axis BATCH, its length l tells how many along axis ALONG.
fn kernel(i: u32) {
  let p = y_coord(i);
  var v = X4();
  var o = array<u32, 5>(p.x / u.y.n, p.x % u.y.n, p.y, p.z, 0u);
#for l in 4
  o[4] = min(p.w * 4u + {l}u, u.y.c - 1u);
  let b{l} = o[BATCH];
  let size{l} = u32(clamp(length_lane(b{l} / u.length.c, b{l} % u.length.c), 0, i32(u.size)));
  let old{l} = o[ALONG];
  o[ALONG] = select(old{l}, size{l} - 1u - old{l}, old{l} < size{l});
  v[{l}] = x_lane(((o[0] * u.x.n + o[1]) * u.x.h + o[2]) * u.x.w + o[3], o[4]);
  o[ALONG] = old{l};
#end
  y_store4_at(i, p, v);
}
