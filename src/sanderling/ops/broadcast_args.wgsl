// x and z hold two shapes; the shorter one has ones in front.
fn kernel(i: u32) {
  let p = y_coord(i);
  var v = X4(1);
#for l in 4
  let at{l} = p.w * 4u + {l}u;
  let a{l} = select(1, x_lane(0u, at{l} - min(at{l}, u.skip_x)), at{l} >= u.skip_x);
  let b{l} = select(1, z_lane(0u, at{l} - min(at{l}, u.skip_z)), at{l} >= u.skip_z);
  v[{l}] = select(a{l}, b{l}, a{l} == 1);
#end
  y_store4_at(i, p, v);
}
