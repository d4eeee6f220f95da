// Non-maximum suppression by a single workgroup. x [boxes, 4], s [boxes] their scores; y: row 0 begins with the number of
// boxes that are kept, rows 1 and 2 are their indices and scores, row 3 the scores as they become, of which every thread
// has some vec4 for itself. A box that overlaps a kept one by the limit goes; less: its score falls if sigma is not 0.
var<workgroup> best: array<f32, THREADS>;
var<workgroup> place: array<u32, THREADS>;

const NEVER = -3.0e38;

fn score_at(c4: u32) -> A4 {
  return y_load4(3u * u.y.c4 + c4);
}
fn overlap(a: A4, b: A4) -> f32 {
  let low_a = min(a.xy, a.zw);
  let high_a = max(a.xy, a.zw);
  let low_b = min(b.xy, b.zw);
  let high_b = max(b.xy, b.zw);
  let size_a = high_a - low_a;
  let size_b = high_b - low_b;
  let meet = max(min(high_a, high_b) - max(low_a, low_b), vec2<f32>());
  let both = meet.x * meet.y;
  let area_a = size_a.x * size_a.y;
  let area_b = size_b.x * size_b.y;
  let ratio = both / (area_a + area_b - both);
  return select(0.0, ratio, area_a > 0.0 && area_b > 0.0);
}
fn put(row: u32, at: u32, value: f32) {
  let i = row * u.y.c4 + at / 4u;
  var v = y_load4(i);
  v[at % 4u] = value;
  y_write4(i, v);
}
fn kernel(group: vec3<u32>, local: vec3<u32>) {
  let thread = local.x;
  let threshold = t_lane(0u, 0u);
  let limit = l_lane(0u, 0u);
#if SOFT
  let sigma = z_lane(0u, 0u);
#end
  let quads = (u.boxes + 3u) / 4u;
  for (var c4 = thread; c4 < u.y.c4; c4 += THREADS) {
    let s = s_load4(min(c4, quads - 1u));
    let there = c4 * 4u + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(u.boxes);
    y_write4(c4, A4());
    y_write4(u.y.c4 + c4, A4());
    y_write4(2u * u.y.c4 + c4, A4());
    y_write4(3u * u.y.c4 + c4, select(A4(NEVER), s, there & (s > A4(threshold))));
  }
  var count = 0u;
  storageBarrier();
  workgroupBarrier();
  for (var k = 0u; k < u.keep; k++) {
    var top = NEVER;
    var at = 0u;
    for (var c4 = thread; c4 < quads; c4 += THREADS) {
      let s = score_at(c4);
#for l in 4
      at = select(at, c4 * 4u + {l}u, s[{l}] > top);
      top = max(top, s[{l}]);
#end
    }
    best[thread] = top;
    place[thread] = at;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
      if (thread < half) {
        let other = best[thread + half];
        let better = other > best[thread] || (other == best[thread] && place[thread + half] < place[thread]);
        place[thread] = select(place[thread], place[thread + half], better);
        best[thread] = max(other, best[thread]);
      }
      workgroupBarrier();
    }
    let found = best[0] > NEVER;
    let kept = place[0];
    let score = best[0];
    workgroupBarrier();
    if (thread == 0u && found) {
      put(1u, k, f32(kept));
      put(2u, k, score);
      count = k + 1u;
    }
    let box = x_load4(kept);
    for (var c4 = thread; c4 < quads; c4 += THREADS) {
      var s = score_at(c4);
#for l in 4
      let n{l} = min(c4 * 4u + {l}u, u.boxes - 1u);
      let meet{l} = overlap(x_load4(n{l}), box);
#if SOFT
      let fallen{l} = select(s[{l}], s[{l}] * exp(-0.5 / sigma * meet{l} * meet{l}), sigma > 0.0 && s[{l}] > NEVER);
#end
#if !SOFT
      let fallen{l} = s[{l}];
#end
      let gone{l} = n{l} == kept || meet{l} >= limit || fallen{l} <= threshold;
      s[{l}] = select(s[{l}], select(fallen{l}, NEVER, gone{l}), found);
#end
      y_write4(3u * u.y.c4 + c4, s);
    }
  }
  if (thread == 0u) { put(0u, 0u, f32(count)); }
}
