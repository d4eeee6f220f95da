// One thread per row; x [w, c].
fn inside(c4: u32) -> vec4<bool> {
  return c4 * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.x.c);
}
fn kernel(row: u32) {
  let at = row * u.x.c4;
  var most = A4(x_load4(at).x);
  for (var c4 = 0u; c4 < u.x.c4; c4++) {
    most = max(most, select(most, x_load4(at + c4), inside(c4)));
  }
  let top = max(max(most.x, most.y), max(most.z, most.w));
  var sum = A4();
  for (var c4 = 0u; c4 < u.x.c4; c4++) {
    sum += select(A4(), exp(x_load4(at + c4) - top), inside(c4));
  }
  let total = log(sum.x + sum.y + sum.z + sum.w);
  for (var c4 = 0u; c4 < u.x.c4; c4++) {
    y_store4(0u, 0u, row, c4, x_load4(at + c4) - top - total);
  }
}
