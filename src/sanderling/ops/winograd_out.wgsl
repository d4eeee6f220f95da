// One thread: 2 × 2 pixels of the result, one vec4 of channels: Aᵀ m A, where x [place in the tile, 1, tile, c] is m.
fn kernel(id: vec3<u32>) {
  let c4 = id.x;
  let n = id.z / u.tiles_h;
  let y0 = id.z % u.tiles_h * 2u;
  let x0 = id.y * 2u;
  let tile = id.z * u.tiles_w + id.y;
#for i in 4
#for j in 4
  let m{i}_{j} = x_load4(x_at({4*i+j}u, 0u, tile, c4));
#end
  let r{i}_0 = m{i}_0 + m{i}_1 + m{i}_2;
  let r{i}_1 = m{i}_1 - m{i}_2 - m{i}_3;
#end
  let to = y_channel(c4);
#for j in 2
  if (x0 + {j}u < u.y.w) {
    y_store4_to(to, n, y0, x0 + {j}u, c4, r0_{j} + r1_{j} + r2_{j});
    if (y0 + 1u < u.y.h) { y_store4_to(to, n, y0 + 1u, x0 + {j}u, c4, r1_{j} - r2_{j} - r3_{j}); }
  }
#end
}
