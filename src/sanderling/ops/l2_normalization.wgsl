// One thread per row; x [w, c]. Squares of large or tiny numbers leave f32: the row is scaled by its peak.
fn kernel(row: u32) {
  let at = row * u.x.c4;
  var most = A4();
  for (var c4 = 0u; c4 < u.x.c4; c4++) {
    most = max(most, abs(x_load4(at + c4)));
  }
  let peak = max(max(most.x, most.y), max(most.z, most.w));
  let scale = select(peak, 1.0, peak == 0.0);
  var sum = A4();
  for (var c4 = 0u; c4 < u.x.c4; c4++) {
    let v = x_load4(at + c4) / scale;
    sum += v * v;
  }
  let norm = max(sqrt(sum.x + sum.y + sum.z + sum.w), 1e-6 / scale);
  for (var c4 = 0u; c4 < u.x.c4; c4++) {
    y_store4(0u, 0u, row, c4, x_load4(at + c4) / scale / norm);
  }
}
