// One workgroup of 64: a tile of 64 rows × 16 vec4 of columns of a product. 4 vec4 of the sum at a time, both operands
// lie in the workgroup's memory, where every thread reads 8 rows and 2 vec4 of columns of them.
// PACKED: w [image, block of 16 vec4, k4, lane, 16], as conv_2d.wgsl has it. Else r [matrices, k, columns], computed.
var<workgroup> left: array<X4, 256>;
var<workgroup> right: array<X4, 256>;

fn kernel(group: vec3<u32>, local: vec3<u32>) {
  let t = local.x;
  let column = t % 8u;
  let first = t / 8u;
  let x0 = group.y * 64u;
  let b = group.z;
#if PACKED
  let n = b;
  let m = 0u;
  let row0 = b * u.x.w;
  let at_w = b * u.per_image + group.x * u.depth * 64u;
#end
#if !PACKED
  let n = b / u.inner;
  let m = b % u.inner;
  let row0 = (n / u.middle * u.x_outer + n % u.middle * u.x_middle + m * u.x_inner) * u.x.w;
  let at_r = (n / u.middle * u.y_outer + n % u.middle * u.y_middle + m * u.y_inner) * u.r.w;
#end
#for p in 8
  var v{p}_0 = A4();
  var v{p}_1 = A4();
#end
  for (var k = 0u; k < u.x.c4; k += 4u) {
#for i in 4
    {
      let e = t + {i}u * 64u;
      let k4 = k + e % 4u;
      left[e % 4u * 64u + e / 4u] =
        x_load4_or0(k4 < u.x.c4, (row0 + min(x0 + e / 4u, u.x.w - 1u)) * u.x.c4 + k4);
#if PACKED
      right[e] = w_load4_or0(k + e / 64u < u.depth, at_w + k * 64u + e);
#end
#if !PACKED
      let row = k * 4u + e / 16u;
      let quad = group.x * 16u + e % 16u;
      right[e] = r_load4_or0(row < u.r.w && quad < u.r.c4, (at_r + row) * u.r.c4 + quad);
#end
    }
#end
    workgroupBarrier();
    for (var q = 0u; q < 4u; q++) {
#for p in 8
      let a{p} = left[q * 64u + first + {8*p}u];
#end
#for l in 4
      let r{l}_0 = right[q * 64u + {16*l}u + column];
      let r{l}_1 = right[q * 64u + {16*l}u + column + 8u];
#for p in 8
      v{p}_0 += A4(a{p}[{l}] * r{l}_0);
      v{p}_1 += A4(a{p}[{l}] * r{l}_1);
#end
#end
    }
    workgroupBarrier();
  }
  let quad = group.x * 16u + column;
  let to = y_channel(min(quad, u.y.c4 - 1u));
  let next = y_channel(min(quad + 8u, u.y.c4 - 1u));
#for p in 8
  if (x0 + first + {8*p}u < u.y.w) {
    if (quad < u.y.c4) { y_store4_to(to, n, m, x0 + first + {8*p}u, quad, v{p}_0); }
    if (quad + 8u < u.y.c4) { y_store4_to(next, n, m, x0 + first + {8*p}u, quad + 8u, v{p}_1); }
  }
#end
}
