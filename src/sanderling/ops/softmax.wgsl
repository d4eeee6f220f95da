// x [w, c]: one thread per row, or (WIDE) a workgroup of THREADS per row, whose threads share its elements.
fn inside(c4: u32) -> vec4<bool> {
  return c4 * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.x.c);
}
#if WIDE
var<workgroup> part: array<f32, THREADS>;

fn kernel(group: vec3<u32>, local: vec3<u32>) {
  let row = group.x;
  let at = row * u.x.c4;
  var most = A4(x_load4(at).x);
  for (var i = local.x; i < u.x.c4; i += THREADS) {
    most = max(most, select(most, x_load4(at + i), inside(i)));
  }
  part[local.x] = max(max(most.x, most.y), max(most.z, most.w));
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (local.x < half) { part[local.x] = max(part[local.x], part[local.x + half]); }
    workgroupBarrier();
  }
  let top = part[0];
  workgroupBarrier();
  var sum = A4();
  for (var i = local.x; i < u.x.c4; i += THREADS) {
    sum += select(A4(), exp((x_load4(at + i) - top) * u.beta), inside(i));
  }
  part[local.x] = sum.x + sum.y + sum.z + sum.w;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (local.x < half) { part[local.x] += part[local.x + half]; }
    workgroupBarrier();
  }
  let total = part[0];
  for (var i = local.x; i < u.x.c4; i += THREADS) {
    y_store4(0u, 0u, row, i, exp((x_load4(at + i) - top) * u.beta) / total);
  }
}
#end
#if !WIDE
fn kernel(row: u32) {
  let at = row * u.x.c4;
  var most = A4(x_load4(at).x);
  var i = 0u;
  loop {
    most = max(most, select(most, x_load4(at + i), inside(i)));
    continuing { i++; break if i >= u.x.c4; }
  }
  let top = max(max(most.x, most.y), max(most.z, most.w));
  var sum = A4();
  var j = 0u;
  loop {
    sum += select(A4(), exp((x_load4(at + j) - top) * u.beta), inside(j));
    continuing { j++; break if j >= u.x.c4; }
  }
  let total = sum.x + sum.y + sum.z + sum.w;
  var k = 0u;
  loop {
    y_store4(0u, 0u, row, k, exp((x_load4(at + k) - top) * u.beta) / total);
    continuing { k++; break if k >= u.x.c4; }
  }
}
#end
