// Every element divided by a power of the squares of its neighbours along the channels.
fn kernel(i: u32) {
  let p = y_coord(i);
  let row = i / u.y.c4;
  let v = x_load4(i);
  var sum = A4();
#for l in 4
  let c{l} = p.w * 4u + {l}u;
  for (var c = max(c{l}, u.radius) - u.radius; c < min(c{l} + u.radius + 1u, u.x.c); c++) {
    let a = x_lane(row, c);
    sum[{l}] += a * a;
  }
#end
  y_store4_at(i, p, v * exp2(-u.beta * log2(u.bias + u.alpha * sum)));
}
