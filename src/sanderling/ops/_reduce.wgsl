// Reduces x [n, h, w, c] along h, or (LAST) x [w, c] along c.
fn combine(a: X4, b: X4) -> X4 {
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
}
#if !LAST
fn kernel(i: u32) {
  let p = y_coord(i);
  var v = x_load4(x_at(p.x, 0u, p.z, p.w));
#if SUM
  v = X4();
#end
#if PROD
  v = X4(1);
#end
  var k = 0u;
  loop {
    v = combine(v, x_load4(x_at(p.x, k, p.z, p.w)));
    continuing { k++; break if k >= u.x.h; }
  }
  y_store4_at(i, p, v);
}
#end
#if LAST
fn kernel(row: u32) {
  // Lanes past the last channel repeat the first element where that changes nothing, else hold the neutral one.
  let first = x_load4(row * u.x.c4).x;
  var v = X4(first);
#if SUM
  v = X4();
#end
#if PROD
  v = X4(1);
#end
  let neutral = v;
  var c4 = 0u;
  loop {
    let inside = c4 * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.x.c);
    v = combine(v, select(neutral, x_load4(row * u.x.c4 + c4), inside));
    continuing { c4++; break if c4 >= u.x.c4; }
  }
  let pair = combine(v, v.zwzw);
  y_store4_at(row, vec4<u32>(0u, 0u, row, 0u), combine(pair, pair.yyyy));
}
#end
