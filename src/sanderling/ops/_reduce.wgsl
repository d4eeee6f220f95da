// Reduces x [n, h, w, c] along h, or (LAST) x [w, c] along c: one thread per result, or (WIDE) a workgroup of THREADS.
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
// What changes nothing: any element of those that are reduced does, where the largest or smallest is looked for.
fn neutral(any: X4) -> X4 {
#if SUM
  return X4();
#end
#if PROD
  return X4(1);
#end
#if MAX
  return any;
#end
#if MIN
  return any;
#end
}
#if !LAST
fn element(p: vec4<u32>, k: u32) -> X4 {
  return x_load4(x_at(p.x, k, p.z, p.w));
}
fn begin(p: vec4<u32>) -> X4 {
  return neutral(element(p, 0u));
}
fn finish(i: u32, p: vec4<u32>, v: X4) {
  y_store4_at(i, p, v);
}
#end
#if LAST
fn element(p: vec4<u32>, k: u32) -> X4 {
  let row = p.z * u.x.c4;
  // Lanes past the last channel hold nothing that counts.
  let inside = k * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.x.c);
  return select(begin(p), x_load4(row + k), inside);
}
fn begin(p: vec4<u32>) -> X4 {
  return neutral(X4(x_load4(p.z * u.x.c4).x));
}
fn finish(i: u32, p: vec4<u32>, v: X4) {
  let pair = combine(v, v.zwzw);
  y_store4_at(i, p, combine(pair, pair.yyyy));
}
#end
fn rounds() -> u32 {
#if LAST
  return u.x.c4;
#end
#if !LAST
  return u.x.h;
#end
}
fn place(i: u32) -> vec4<u32> {
#if LAST
  return vec4<u32>(0u, 0u, i, 0u);
#end
#if !LAST
  return y_coord(i);
#end
}
#if !WIDE
fn kernel(i: u32) {
  let p = place(i);
  var v = begin(p);
  var k = 0u;
  loop {
    v = combine(v, element(p, k));
    continuing { k++; break if k >= rounds(); }
  }
  finish(i, p, v);
}
#end
#if WIDE
var<workgroup> part: array<X4, THREADS>;

fn kernel(group: vec3<u32>, local: vec3<u32>) {
  let p = place(group.x);
  var v = begin(p);
  for (var k = local.x; k < rounds(); k += THREADS) {
    v = combine(v, element(p, k));
  }
  part[local.x] = v;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (local.x < half) { part[local.x] = combine(part[local.x], part[local.x + half]); }
    workgroupBarrier();
  }
  if (local.x == 0u) { finish(group.x, p, part[0]); }
}
#end
