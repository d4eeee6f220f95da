// The elements of x in their order, under another last axis.
fn kernel(i: u32) {
  let p = y_coord(i);
  let first = i / u.y.c4 * u.y.c + p.w * 4u;
  var v = X4();
#for l in 4
  let e{l} = min(first + {l}u, u.elements - 1u);
  v[{l}] = x_lane(e{l} / u.x.c, e{l} % u.x.c);
#end
  y_store4_at(i, p, v);
}
