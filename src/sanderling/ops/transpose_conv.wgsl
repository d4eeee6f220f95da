// One thread: a pixel, OUT vec4 of output channels. Tap k of the output at o reads the image at
// (o + pad − k) / stride, where that is whole. w [block of OUT vec4, ky, kx, c4, input lane, OUT].
fn kernel(id: vec3<u32>) {
  let x = id.x;
  let block = id.y;
  let n = id.z / u.y.h;
  let y = id.z % u.y.h;
#for o in OUT
  var v{o} = A4();
#end
  let row_w = u.depth * 4u * OUT;
  // Only every stride-th tap meets a pixel of the image.
  var ky = (y + u.pad_top) % u.stride_h;
  loop {
    let iy = (y + u.pad_top - ky) / u.stride_h;
    var kx = (x + u.pad_left) % u.stride_w;
    loop {
      let ix = (x + u.pad_left - kx) / u.stride_w;
      let ok = iy < u.x.h && ix < u.x.w && ky < u.filter_h && kx < u.filter_w;
      let tap = select(0u, ky * u.filter_w + kx, ok);
      var at_w = (block * u.filter_h * u.filter_w + tap) * row_w;
      let at = x_at(n, iy, ix, 0u);
      var c4 = 0u;
      loop {
        let a = x_load4_or0(ok, at + c4);
#for o in OUT
        v{o} += A4(a.x * w_load4(at_w + {o}u));
        v{o} += A4(a.y * w_load4(at_w + OUT + {o}u));
        v{o} += A4(a.z * w_load4(at_w + 2u * OUT + {o}u));
        v{o} += A4(a.w * w_load4(at_w + 3u * OUT + {o}u));
#end
        at_w += 4u * OUT;
        continuing { c4++; break if c4 >= u.depth; }
      }
      continuing { kx += u.stride_w; break if kx >= u.filter_w; }
    }
    continuing { ky += u.stride_h; break if ky >= u.filter_h; }
  }
#for o in OUT
  if (block * OUT + {o}u < u.y.c4) { y_store4(n, y, x, block * OUT + {o}u, v{o}); }
#end
}
