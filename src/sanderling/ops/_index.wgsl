// Takes rows of x: row r of y is row base + Σ index[k] · stride[k] of x, the index's entries being those of
// position (group, pick). One that lies outside of x gives zeros.
fn picked(e: u32) -> u32 {
  return u32(index_lane(e / u.index.c, e % u.index.c));
}
fn kernel(i: u32) {
  let p = y_coord(i);
  let pick = p.y % u.picks;
  let within = p.y / u.picks;
  var row = within * u.size;
  var ok = true;
  let at = (within / u.batch * u.picks + pick) * DEPTH;
#for k in DEPTH
  let e{k} = picked(at + {k}u);
  ok = ok && e{k} < u.size{k};
  row += e{k} * u.stride{k};
#end
  let there = select(0u, x_at(0u, row, p.z, p.w), ok);
  y_store4_at(i, p, select(X4(), x_load4(there), ok));
}
