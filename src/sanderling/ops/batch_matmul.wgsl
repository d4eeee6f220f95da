// One thread: ROWS rows of x [matrices, rows, k] times one vec4 of columns of y [matrices, k, columns].
fn kernel(id: vec3<u32>) {
  let c4 = id.x;
  let first = id.y * ROWS;
  let b = id.z;
  let n = b / u.inner;
  let m = b % u.inner;
  let at_x = (n / u.middle * u.x_outer + n % u.middle * u.x_middle + m * u.x_inner) * u.x.w;
  let at_y = (n / u.middle * u.y_outer + n % u.middle * u.y_middle + m * u.y_inner) * u.r.w;
#for p in ROWS
  var v{p} = A4();
  let row{p} = (at_x + min(first + {p}u, u.x.w - 1u)) * u.x.c4;
#end
  for (var k4 = 0u; k4 < u.x.c4; k4++) {
#for l in 4
    let r{l} = r_load4((at_y + min(k4 * 4u + {l}u, u.r.w - 1u)) * u.r.c4 + c4);
#end
#for p in ROWS
    let a{p} = x_load4(row{p} + k4);
    v{p} += a{p}.x * r0 + a{p}.y * r1 + a{p}.z * r2 + a{p}.w * r3;
#end
  }
#for p in ROWS
  if (first + {p}u < u.y.w) { y_store4(n, m, first + {p}u, c4, v{p}); }
#end
}
