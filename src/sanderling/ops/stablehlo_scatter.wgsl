// y is x, and block r of b [rows, elements] is combined with what lies from entry from_j of index [rows, DEPTH] on
// along axis j, size_j wide. A block that does not lie inside goes nowhere. Every thread looks for what comes to its
// elements: nothing is written twice, and blocks that meet come in their order. Entry 5 is always 0.
fn combine(a: X1, b: X1) -> X1 {
#if SUM
  return a + b;
#end
#if PROD
  return a * b;
#end
#if MAX
  return max(a, b);
#end
#if MIN
  return min(a, b);
#end
#if LAST
  return b;
#end
}
fn inside(s: i32, size: u32, axis: u32) -> bool {
  return s >= 0 && s <= i32(axis) - i32(size);
}
fn kernel(i: u32) {
  let p = y_coord(i);
  var v = x_load4(i);
  let o0 = p.x / u.y.n;
  let o1 = p.x % u.y.n;
  var s = array<i32, 6>(0, 0, 0, 0, 0, 0);
  for (var r = 0u; r < u.rows; r++) {
#for k in DEPTH
    s[{k}] = index_lane(r, {k}u);
#end
    let whole = inside(s[u.from0], u.size0, u.y.d) && inside(s[u.from1], u.size1, u.y.n)
      && inside(s[u.from2], u.size2, u.y.h) && inside(s[u.from3], u.size3, u.y.w)
      && inside(s[u.from4], u.size4, u.y.c);
    let w0 = o0 - u32(s[u.from0]);
    let w1 = o1 - u32(s[u.from1]);
    let w2 = p.y - u32(s[u.from2]);
    let w3 = p.z - u32(s[u.from3]);
    let hit = whole && w0 < u.size0 && w1 < u.size1 && w2 < u.size2 && w3 < u.size3;
    let at = w0 * u.stride0 + w1 * u.stride1 + w2 * u.stride2 + w3 * u.stride3;
#for l in 4
    let e{l} = p.w * 4u + {l}u - u32(s[u.from4]);
    let ok{l} = hit && e{l} < u.size4;
    let new{l} = combine(v[{l}], b_lane(r, select(0u, at + e{l} * u.stride4, ok{l})));
    v[{l}] = select(v[{l}], new{l}, ok{l});
#end
  }
  y_store4_at(i, p, v);
}
