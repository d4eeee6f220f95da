// Row g of y is the sum of those rows of x that belong to it, each times its weight z; MEAN: by the weights' sum,
// SQRTN: by the root of the sum of their squares. Entry e belongs to the row that position [entries, DEPTH + 1] says.
fn kernel(i: u32) {
  let p = y_coord(i);
  var v = A4();
  var total = 0.0;
  for (var e = 0u; e < u.entries; e++) {
    var row = 0u;
    var ok = true;
#for k in DEPTH
    let at{k} = u32(position_lane(e, {k}u));
    ok = ok && at{k} < u.size{k};
    row += at{k} * u.stride{k};
#end
    let id = u32(index_lane(0u, e));
    let mine = ok && row == p.y && id < u.x.h;
    let weight = select(0.0, z_lane(0u, e), mine);
    v += weight * x_load4(x_at(0u, select(0u, id, mine), p.z, p.w));
#if MEAN
    total += weight;
#end
#if SQRTN
    total += weight * weight;
#end
  }
#if MEAN
  v = select(A4(), v / total, total != 0.0);
#end
#if SQRTN
  v = select(A4(), v / sqrt(total), total != 0.0);
#end
  y_store4_at(i, p, v);
}
