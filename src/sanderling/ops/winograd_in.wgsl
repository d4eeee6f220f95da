// One thread: a tile of 4 × 4 pixels d of the image, one vec4 of channels. y [place in the tile, 1, tile, c] = Bᵀ d B.
fn kernel(id: vec3<u32>) {
  let c4 = id.x;
  let n = id.z / u.tiles_h;
  let y0 = id.z % u.tiles_h * 2u - u.pad_top;
  let x0 = id.y * 2u - u.pad_left;
  let tile = id.z * u.tiles_w + id.y;
#for j in 4
  let ok{j} = x0 + {j}u < u.x.w;
#end
#for i in 4
  let at{i} = x_at(n, y0 + {i}u, x0, c4);
  let in{i} = y0 + {i}u < u.x.h;
#for j in 4
  let d{i}_{j} = x_load4_or0(in{i} && ok{j}, at{i} + {j}u * u.x.c4);
#end
  let r{i}_0 = d{i}_0 - d{i}_2;
  let r{i}_1 = d{i}_1 + d{i}_2;
  let r{i}_2 = d{i}_2 - d{i}_1;
  let r{i}_3 = d{i}_1 - d{i}_3;
#end
#for j in 4
  y_store4({j}u, 0u, tile, c4, r0_{j} - r2_{j});
  y_store4({4+j}u, 0u, tile, c4, r1_{j} + r2_{j});
  y_store4({8+j}u, 0u, tile, c4, r2_{j} - r1_{j});
  y_store4({12+j}u, 0u, tile, c4, r1_{j} - r3_{j});
#end
}
