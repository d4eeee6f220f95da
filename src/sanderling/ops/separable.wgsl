// One workgroup of 64: 16 neighbours of a row × OUT blocks of 16 vec4 of output channels. 16 vec4 of the channels between
// at a time are convolved one by one into the workgroup's memory, and multiplied from there.
// d [ky, kx, c4], then a row of biases; w [block of 16 vec4, c4, lane, 16].
var<workgroup> between: array<vec4<f32>, 256>;

fn clamped(v: A4) -> A4 {
  let bits = bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu);
  return select(clamp(v, A4(u.low), A4(u.high)), v, bits > vec4<u32>(0x7f800000u));
}
fn kernel(group: vec3<u32>, local: vec3<u32>) {
  let t = local.x;
  let lane = t % 16u;
  let pixel = t / 16u * 4u;
  let x0 = group.y * 16u + pixel;
  let n = group.z / u.y.h;
  let y = group.z % u.y.h;
  let block = group.x * OUT;
#for o in OUT
#for p in 4
  var v{o}_{p} = A4();
#end
#end
  for (var c = 0u; c < u.x.c4; c += 16u) {
    let c4 = min(c + lane, u.x.c4 - 1u);
    let bias = d_load4(u.filter_h * u.filter_w * u.x.c4 + c4);
#for p in 4
    var s{p} = bias;
#end
    for (var ky = 0u; ky < u.filter_h; ky++) {
      let iy = y * u.stride_h + ky * u.dilation_h - u.pad_top;
      for (var kx = 0u; kx < u.filter_w; kx++) {
        let ix = x0 * u.stride_w + kx * u.dilation_w - u.pad_left;
        let k = d_load4((ky * u.filter_w + kx) * u.x.c4 + c4);
#for p in 4
        let x{p} = ix + {p}u * u.stride_w;
        s{p} += x_load4_or0(iy < u.x.h && x{p} < u.x.w, x_at(n, iy, x{p}, c4)) * k;
#end
      }
    }
#for p in 4
    between[(pixel + {p}u) * 16u + lane] = select(A4(), clamped(s{p}), c + lane < u.x.c4);
#end
    workgroupBarrier();
    for (var q = 0u; q < 16u; q++) {
#for p in 4
      let a{p} = between[(pixel + {p}u) * 16u + q];
#end
#for o in OUT
      {
        let at = (((block + {o}u) * u.x.c4 + min(c + q, u.x.c4 - 1u)) * 4u) * 16u + lane;
#for l in 4
        let w{l} = w_load4(at + {16*l}u);
#end
#for p in 4
        v{o}_{p} += a{p}.x * w0 + a{p}.y * w1 + a{p}.z * w2 + a{p}.w * w3;
#end
      }
#end
    }
    workgroupBarrier();
  }
#for o in OUT
  {
    let quad = (block + {o}u) * 16u + lane;
    if (quad < u.y.c4) {
      let to = y_channel(quad);
#for p in 4
      if (x0 + {p}u < u.y.w) { y_store4_to(to, n, y, x0 + {p}u, quad, v{o}_{p}); }
#end
    }
  }
#end
}
