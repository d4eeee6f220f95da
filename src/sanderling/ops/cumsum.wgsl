// Running sums along h of x [n, h, w, c], or (LAST) along c of x [w, c]; from behind where u.reverse is 1. With
// u.exclusive an element is not part of its own sum.
#if !LAST
fn kernel(i: u32) {
  let c4 = i % u.x.c4;
  let w = i / u.x.c4 % u.x.w;
  let n = i / u.x.c4 / u.x.w;
  var sum = X4();
  for (var k = 0u; k < u.x.h; k++) {
    let h = select(k, u.x.h - 1u - k, u.reverse == 1u);
    let v = x_load4(x_at(n, h, w, c4));
    y_store4(n, h, w, c4, select(sum + v, sum, u.exclusive == 1u));
    sum += v;
  }
}
#end
#if LAST
fn kernel(row: u32) {
  var sum = X1();
  for (var k = 0u; k < u.x.c4; k++) {
    let c4 = select(k, u.x.c4 - 1u - k, u.reverse == 1u);
    let v = x_load4(row * u.x.c4 + c4);
    var total = X4();
    for (var m = 0u; m < 4u; m++) {
      let l = select(m, 3u - m, u.reverse == 1u);
      total[l] = select(sum + v[l], sum, u.exclusive == 1u);
      sum += v[l];
    }
    y_store4(0u, 0u, row, c4, total);
  }
}
#end
