// One thread per row; x [w, c].
fn inside(c4: u32) -> vec4<bool> {
  return c4 * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.x.c);
}
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
