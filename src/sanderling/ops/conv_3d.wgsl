// One thread: one place, one vec4 of output channels; x and y [n, d, h, w, c] are seen as [n · d, h, w, c].
// w [c4 out, kd, ky, kx, c4 in, input lane]. With BACK image and result change places: tap k of the output at o
// reads the image at (o + pad − k) / stride, where that is whole.
fn place(o: u32, k: u32, stride: u32, dilation: u32, pad: u32) -> u32 {
#if !BACK
  return o * stride + k * dilation - pad;
#end
#if BACK
  let s = o + pad - k * dilation;
  return select(0xffffffffu, s / stride, s % stride == 0u && s < 0x80000000u);
#end
}
fn kernel(i: u32) {
  let p = y_coord(i);
  let batch = p.x / u.depth_out;
  let z = p.x % u.depth_out;
  var v = A4();
  var at_w = p.w * u.filter_d * u.filter_h * u.filter_w * u.x.c4 * 4u;
  for (var kz = 0u; kz < u.filter_d; kz++) {
    let iz = place(z, kz, u.stride_d, u.dilation_d, u.pad_front);
    for (var ky = 0u; ky < u.filter_h; ky++) {
      let iy = place(p.y, ky, u.stride_h, u.dilation_h, u.pad_top);
      for (var kx = 0u; kx < u.filter_w; kx++) {
        let ix = place(p.z, kx, u.stride_w, u.dilation_w, u.pad_left);
        let ok = iz < u.depth_in && iy < u.x.h && ix < u.x.w;
        let at = x_at(batch * u.depth_in + iz, iy, ix, 0u);
        for (var c4 = 0u; c4 < u.x.c4; c4++) {
          let a = x_load4_or0(ok, at + c4);
          v += a.x * w_load4(at_w) + a.y * w_load4(at_w + 1u) + a.z * w_load4(at_w + 2u)
            + a.w * w_load4(at_w + 3u);
          at_w += 4u;
        }
      }
    }
  }
  y_store4_at(i, p, v);
}
