// One thread per vec4 of channels. Padding takes no part: a mean divides by the elements that are there.
fn kernel(i: u32) {
  let p = y_coord(i);
#if MAX
  var v = A4(-3.4028234e38);
#end
#if !MAX
  var v = A4();
  var count = 0.0;
#end
  var ky = 0u;
  loop {
    let y = p.y * u.stride_h + ky - u.pad_top;
    var kx = 0u;
    loop {
      let x = p.z * u.stride_w + kx - u.pad_left;
      let ok = y < u.x.h && x < u.x.w;
      let at = x_at(p.x, y, x, p.w);
#if MAX
      v = select(v, max(v, x_load4(select(0u, at, ok))), ok);
#end
#if !MAX
      v += x_load4_or0(ok, at);
      count += f32(ok);
#end
      continuing { kx++; break if kx >= u.filter_w; }
    }
    continuing { ky++; break if ky >= u.filter_h; }
  }
#if MAX
  y_store4_at(i, p, v);
#end
#if !MAX
  y_store4_at(i, p, v / count);
#end
}
