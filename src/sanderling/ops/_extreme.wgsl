// Where the largest (MAX) or smallest element lies along h of x [n, h, w, c], or (LAST) along c of x [w, c];
// of equal ones the first.
fn better(a: X4, b: X4) -> vec4<bool> {
#if MAX
  return a > b;
#end
#if !MAX
  return a < b;
#end
}
#if !LAST
fn kernel(i: u32) {
  let p = y_coord(i);
  var best = x_load4(x_at(p.x, 0u, p.z, p.w));
  var at = vec4<i32>();
  for (var k = 1u; k < u.x.h; k++) {
    let v = x_load4(x_at(p.x, k, p.z, p.w));
    let is = better(v, best);
    best = select(best, v, is);
    at = select(at, vec4<i32>(i32(k)), is);
  }
  y_store4_at(i, p, at);
}
#end
#if LAST
fn kernel(row: u32) {
  // Every lane looks for its own, then the best of them: of equal ones that with the smaller number.
  var best = X4(x_load4(row * u.x.c4).x);
  var at = vec4<i32>();
  for (var c4 = 0u; c4 < u.x.c4; c4++) {
    let v = x_load4(row * u.x.c4 + c4);
    let number = vec4<i32>(i32(c4 * 4u)) + vec4<i32>(0, 1, 2, 3);
    let is = better(v, best) & (number < vec4<i32>(i32(u.x.c)));
    best = select(best, v, is);
    at = select(at, number, is);
  }
  let other = best.zwzw;
  let there = at.zwzw;
  let won = better(other, best) | ((other == best) & (there < at));
  best = select(best, other, won);
  at = select(at, there, won);
  let last = better(best.yyyy, best) | ((best.yyyy == best) & (at.yyyy < at));
  y_store4_at(row, vec4<u32>(0u, 0u, row, 0u), select(at, at.yyyy, last));
}
#end
