// Copies x into its part of y. Seen as rows of vec4, or, where the part begins or ends inside of a vec4 of y
// that it shares with its neighbour, element by element.
#if ALIGNED
fn kernel(i: u32) {
  y_write4(i / u.x_row * u.y_row + u.start + i % u.x_row, x_load4(i));
}
#end
#if !ALIGNED
fn kernel(id: vec3<u32>) {
  let c4 = u.start / 4u + id.x;
  let i = id.y * u.y.c4 + c4;
  var v = y_load4(i);
#for l in 4
  let c{l} = c4 * 4u + {l}u - u.start;
  v[{l}] = select(v[{l}], x_lane(id.y, min(c{l}, u.x.c - 1u)), c{l} < u.x.c);
#end
  y_store4_at(i, vec4<u32>(0u, 0u, id.y, c4), v);
}
#end
