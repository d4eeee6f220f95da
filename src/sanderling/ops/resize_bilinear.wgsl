// place = where the output's pixel lies in the image; the two neighbours are weighted by their distance.
fn place(at: u32, step: f32) -> f32 {
#if HALF
  return (f32(at) + 0.5) * step - 0.5;
#end
#if !HALF
  return f32(at) * step;
#end
}
fn kernel(i: u32) {
  let p = y_coord(i);
  let y = place(p.y, u.step_h);
  let x = place(p.z, u.step_w);
  let y0 = u32(clamp(floor(y), 0.0, f32(u.x.h - 1u)));
  let x0 = u32(clamp(floor(x), 0.0, f32(u.x.w - 1u)));
  let y1 = u32(clamp(ceil(y), 0.0, f32(u.x.h - 1u)));
  let x1 = u32(clamp(ceil(x), 0.0, f32(u.x.w - 1u)));
  let dy = y - f32(y0);
  let dx = x - f32(x0);
  let left = x_load4(x_at(p.x, y0, x0, p.w)) * (1.0 - dy) + x_load4(x_at(p.x, y1, x0, p.w)) * dy;
  let right = x_load4(x_at(p.x, y0, x1, p.w)) * (1.0 - dy) + x_load4(x_at(p.x, y1, x1, p.w)) * dy;
  y_store4_at(i, p, left * (1.0 - dx) + right * dx);
}
