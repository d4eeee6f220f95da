// Everything happens in the steps.
fn kernel(i: u32) {
  y_store4_at(i, y_coord(i), Y4());
}
