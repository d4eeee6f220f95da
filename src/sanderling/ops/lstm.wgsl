// One step of a basic LSTM: x [batch, 4 · cells] are the sums of its gates input, new, forget and output, c [batch, cells]
// the state. KEPT: the next state; otherwise, c being that already, what the cells give.
fn sigmoid(x: A4) -> A4 {
  let e = exp(-abs(x));
  return select(e, A4(1.0), x >= A4()) / (1.0 + e);
}
fn tangent(x: A4) -> A4 {
  let t = exp(-2.0 * abs(x));
  return sign(x) * (1.0 - t) / (1.0 + t);
}
fn gate(p: vec4<u32>, number: u32) -> A4 {
  var v = A4();
#for l in 4
  v[{l}] = x_lane(p.z, number * u.y.c + min(p.w * 4u + {l}u, u.y.c - 1u));
#end
  return v;
}
fn kernel(i: u32) {
  let p = y_coord(i);
#if KEPT
  let v = sigmoid(gate(p, 0u)) * tangent(gate(p, 1u)) + sigmoid(gate(p, 2u)) * c_load4(i);
#end
#if !KEPT
  let v = sigmoid(gate(p, 3u)) * tangent(c_load4(i));
#end
  y_store4_at(i, p, v);
}
