// One thread: u.rows rows of PIXELS neighbours, one vec4 of channels. w [ky, kx, c4].
fn kernel(id: vec3<u32>) {
  let c4 = id.x;
  let x0 = id.y * PIXELS;
  let tiles = (u.y.h + u.rows - 1u) / u.rows;
  let n = id.z / tiles;
  let y0 = id.z % tiles * u.rows;
  let to = y_channel(c4);
#if SLIDING
  // A window of FILTER rows × COLUMNS slides down: every row is loaded once, and serves FILTER rows of the output.
  let left = x0 * STRIDE - u.pad_left;
#for x in COLUMNS
  let ok{x} = left + {x}u < u.x.w;
#end
#for k in FILTER
#for x in COLUMNS
  var r{k}_{x} = X4();
#end
#end
#for k in FILTER
#for j in FILTER
  let w{k}_{j} = w_load4(({k}u * FILTER + {j}u) * u.x.c4 + c4);
#end
#end
  // The first rounds fill the window.
  var t = 0u;
  loop {
    let y = y0 + t - u.warm_up;
#for k in KEPT
#for x in COLUMNS
    r{k}_{x} = r{k+STRIDE}_{x};
#end
#end
#for k in STRIDE
    {
      let iy = y * STRIDE + KEPT + {k}u - u.pad_top;
      let at = x_at(n, iy, left, c4);
#for x in COLUMNS
      r{k+KEPT}_{x} = x_load4_or0(iy < u.x.h && ok{x}, at + {x}u * u.x.c4);
#end
    }
#end
    if (t >= u.warm_up && y < u.y.h) {
#for p in PIXELS
      var v{p} = A4();
#end
#for k in FILTER
#for j in FILTER
#for p in PIXELS
      v{p} += A4(r{k}_{p*STRIDE+j} * w{k}_{j});
#end
#end
#end
#for p in PIXELS
      if (x0 + {p}u < u.y.w) { y_store4_to(to, n, y, x0 + {p}u, c4, v{p}); }
#end
    }
    continuing { t++; break if t >= u.rows + u.warm_up; }
  }
#end
#if !SLIDING
#for p in PIXELS
  var v{p} = A4();
#end
  var at_w = c4;
  var ky = 0u;
  loop {
    let iy = y0 * u.stride_h + ky * u.dilation_h - u.pad_top;
    var kx = 0u;
    loop {
      let ix = x0 * u.stride_w + kx * u.dilation_w - u.pad_left;
      let w = w_load4(at_w);
#for p in PIXELS
      let x{p} = ix + {p}u * u.stride_w;
      v{p} += A4(x_load4_or0(iy < u.x.h && x{p} < u.x.w, x_at(n, iy, x{p}, c4)) * w);
#end
      at_w += u.x.c4;
      continuing { kx++; break if kx >= u.filter_w; }
    }
    continuing { ky++; break if ky >= u.filter_h; }
  }
#for p in PIXELS
  if (x0 + {p}u < u.y.w) { y_store4_to(to, n, y0, x0 + {p}u, c4, v{p}); }
#end
#end
}
