// SHIFT: the memory of every filter without its oldest entry, x [batch · filters, memory], and v [batch, filters],
// the newest, behind it. Otherwise: x [batch · units, rank · memory] times the time weights of every unit.
#if SHIFT
fn kernel(i: u32) {
  let p = y_coord(i);
  let b = p.z / u.filters;
  let newest = v_lane(b, p.z % u.filters);
  var v = A4();
#for l in 4
  let at{l} = p.w * 4u + {l}u + 1u;
  v[{l}] = select(newest, x_lane(p.z, min(at{l}, u.x.c - 1u)), at{l} < u.x.c);
#end
  y_store4_at(i, p, v);
}
#end
#if !SHIFT
fn kernel(i: u32) {
  let p = y_coord(i);
  var v = A4();
#for l in 4
  let unit{l} = min(p.w * 4u + {l}u, u.y.c - 1u);
#end
  for (var k = 0u; k < u.x.c4; k++) {
#for l in 4
    v[{l}] += dot(x_load4((p.z * u.y.c + unit{l}) * u.x.c4 + k), w_load4(unit{l} * u.x.c4 + k));
#end
  }
  y_store4_at(i, p, v);
}
#end
