// One thread: PIXELS neighbours of a row × OUT vec4 of output channels, summed exactly in 32-bit integers. What
// lies outside of the image is the zero point. w [block of OUT vec4, ky, kx, c4, output channel], a word holds
// the weights of four input channels; t what is added to each sum: bias − zero point × sum of the weights.
fn kernel(id: vec3<u32>) {
  let x0 = id.x * PIXELS;
  let block = id.y;
  let n = id.z / u.y.h;
  let y = id.z % u.y.h;
#for p in PIXELS
#for o in OUT
  var v{p}_{o} = vec4<i32>();
#end
#end
  var at_w = block * u.filter_h * u.filter_w * u.x.c4 * 4u * OUT;
  for (var ky = 0u; ky < u.filter_h; ky++) {
    let iy = y * u.stride_h + ky * u.dilation_h - u.pad_top;
    for (var kx = 0u; kx < u.filter_w; kx++) {
      let ix = x0 * u.stride_w + kx * u.dilation_w - u.pad_left;
#for p in PIXELS
      let x{p} = ix + {p}u * u.stride_w;
      let ok{p} = iy < u.x.h && x{p} < u.x.w;
      let at{p} = select(0u, x_at(n, iy, x{p}, 0u), ok{p});
#end
      for (var c4 = 0u; c4 < u.x.c4; c4++) {
#for p in PIXELS
        let a{p} = select(u.zero, x_raw(at{p} + c4), ok{p});
#end
#for o in OUT
#for l in 4
        let w{o}_{l} = w_raw(at_w + {o}u * 4u + {l}u);
#end
#for p in PIXELS
        v{p}_{o} += vec4<i32>(dot4I8Packed(a{p}, w{o}_0), dot4I8Packed(a{p}, w{o}_1),
          dot4I8Packed(a{p}, w{o}_2), dot4I8Packed(a{p}, w{o}_3));
#end
#end
        at_w += 4u * OUT;
      }
    }
  }
#for p in PIXELS
  if (x0 + {p}u < u.y.w) {
#for o in OUT
    if (block * OUT + {o}u < u.y.c4) {
      y_store4(n, y, x0 + {p}u, block * OUT + {o}u, vec4<f32>(v{p}_{o} + t_load4(block * OUT + {o}u)));
    }
#end
  }
#end
}
