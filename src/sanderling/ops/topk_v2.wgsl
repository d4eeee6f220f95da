// One thread per row of x [h, w = 1, c]: the largest elements in falling order, of equal ones the first first.
// Each is found as the best of those that come after the one before it.
fn kernel(row: u32) {
  var value = X1();
  var number = -1;
  for (var c4 = 0u; c4 < u.y.c4; c4++) {
    var values = X4();
    var numbers = vec4<i32>();
    for (var l = 0u; l < 4u; l++) {
      var best = value;
      var at = -1;
      for (var c = 0u; c < u.x.c; c++) {
        let v = x_lane(row, c);
        let after = number < 0 || v < value || (v == value && i32(c) > number);
        let is = after && (at < 0 || v > best);
        best = select(best, v, is);
        at = select(at, i32(c), is);
      }
      value = best;
      number = at;
      values[l] = best;
      numbers[l] = at;
    }
#if NUMBERS
    y_store4(0u, 0u, row, c4, numbers);
#end
#if !NUMBERS
    y_store4(0u, 0u, row, c4, values);
#end
  }
}
