// Row r of x goes to row Σ index[r, k] · stride[k] of y; several that meet are combined. One that lies outside
// of y goes nowhere; x may be a single row for all. Every thread looks for what comes to it: nothing is written twice.
fn picked(e: u32) -> u32 {
  return u32(index_lane(e / u.index.c, e % u.index.c));
}
fn kernel(i: u32) {
  let p = y_coord(i);
#if FILLER
  var v = X4(f_lane(0u, 0u));
#end
#if !FILLER
  var v = X4(X1(u.start));
#end
  for (var r = 0u; r < u.rows; r++) {
    var row = 0u;
    var ok = true;
#for k in DEPTH
    let e{k} = picked(r * DEPTH + {k}u);
    ok = ok && e{k} < u.size{k};
    row += e{k} * u.stride{k};
#end
    let a = x_load4(x_at(0u, min(r, u.x.h - 1u), p.z, p.w));
#if SUM
    let b = v + a;
#end
#if PROD
    let b = v * a;
#end
#if MAX
    let b = max(v, a);
#end
#if MIN
    let b = min(v, a);
#end
#if LAST
    let b = a;
#end
    v = select(v, b, ok && row == p.y);
  }
  y_store4_at(i, p, v);
}
