// How many of the rising boundaries w are not above each element.
fn kernel(i: u32) {
  let x = vec4<f32>(x_load4(i));
  var v = vec4<i32>();
  for (var k = 0u; k < u.count; k++) {
    v += select(vec4<i32>(), vec4<i32>(1), x >= vec4<f32>(w_load4(k / 4u)[k % 4u]));
  }
  y_store4_at(i, y_coord(i), v);
}
