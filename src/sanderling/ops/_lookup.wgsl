// The function's values for all integers that 16 bits store, in t; x and y are real numbers.
fn kernel(i: u32) {
  let at = vec4<u32>(vec4<i32>(round(x_load4(i) / u.x.scale + u.x.zero_point)) + 32768);
  var v = A4();
#for l in 4
  v[{l}] = f32(t_lane(0u, min(at[{l}], 65535u)));
#end
  y_store4_at(i, y_coord(i), (v - u.y.zero_point) * u.y.scale);
}
