// One thread: GROUPS × LANES neighbours of a row × OUT vec4 of output channels, kept in registers.
// w [block of OUT vec4, ky, kx, c4, input lane, OUT]. A block reads only the input channels of its groups:
// depth vec4, from the first that belongs to its first group on; w is 0 for what lies between groups.
// This dispatch has the weights of ``blocks`` blocks, beginning with first_block; per_image is 0 where all images have
// the same.
// NARROW: of a vec4 of input channels only the first DEEP are there.
// SHARED: the four threads of a quad have the same pixels, every one loads a quarter of them for all.
fn kernel(id: vec3<u32>) {
#if SHARED
  let here = min(id.x, u.blocks - 1u);
  let x0 = id.y * (GROUPS * LANES);
  let lane = id.x % 4u;
#end
#if !SHARED
  let here = id.y;
  let x0 = id.x * (GROUPS * LANES);
#end
  let block = u.first_block + here;
  let n = id.z / u.y.h;
  let y = id.z % u.y.h;
  let first = min(block * OUT * 4u / u.group_out * u.group_in / 4u, u.x.c4 - u.depth);
#for g in GROUPS
#for p in LANES
#for o in OUT
#for l in 4
  var v{g}_{p}_{o}_{l} = 0.0;
#end
#end
#end
#end
  var at_w = n * u.per_image + here * u.filter_h * u.filter_w * u.depth * 4u * OUT;
  var ky = 0u;
  loop {
    let iy = y * u.stride_h + ky * u.dilation_h - u.pad_top;
    var kx = 0u;
    loop {
      let ix = x0 * u.stride_w + kx * u.dilation_w - u.pad_left;
#for g in GROUPS
#if SHARED
      let x{g} = ix + ({g}u * LANES + lane) * u.stride_w;
      let ok{g} = iy < u.x.h && x{g} < u.x.w;
      let at{g} = x_at(n, iy, x{g}, first);
#end
#if !SHARED
#for p in LANES
      let x{g}_{p} = ix + ({g}u * LANES + {p}u) * u.stride_w;
      let ok{g}_{p} = iy < u.x.h && x{g}_{p} < u.x.w;
      let at{g}_{p} = x_at(n, iy, x{g}_{p}, first);
#end
#end
#end
      var c4 = 0u;
      loop {
#for o in OUT
#for i in DEEP
        let w{i}_{o} = w_load4(at_w + {i}u * OUT + {o}u);
#end
#end
#for g in GROUPS
#if SHARED
        let mine{g} = x_load4_or0(ok{g}, at{g} + c4);
#end
#for p in LANES
#if SHARED
        let a{g}_{p} = quadBroadcast(mine{g}, {p}u);
#end
#if !SHARED
        let a{g}_{p} = x_load4_or0(ok{g}_{p}, at{g}_{p} + c4);
#end
#for o in OUT
#for l in 4
#if NARROW
#for i in DEEP
        v{g}_{p}_{o}_{l} += A1(a{g}_{p}[{i}] * w{i}_{o}[{l}]);
#end
#end
#if !NARROW
        v{g}_{p}_{o}_{l} += A1(a{g}_{p}.x * w0_{o}[{l}] + a{g}_{p}.y * w1_{o}[{l}] + a{g}_{p}.z * w2_{o}[{l}] + a{g}_{p}.w * w3_{o}[{l}]);
#end
#end
#end
#end
#end
        at_w += 4u * OUT;
        continuing { c4++; break if c4 >= u.depth; }
      }
      continuing { kx++; break if kx >= u.filter_w; }
    }
    continuing { ky++; break if ky >= u.filter_h; }
  }
#for o in OUT
  let to{o} = y_channel(block * OUT + {o}u);
#end
#if LOOPED
  // Loops, for the text of a store is long and compilers are slow: what comes next moves to the front.
  var g = 0u;
  loop {
    var p = 0u;
    loop {
      let at = x0 + g * LANES + p;
#for o in OUT
      if (at < u.y.w && block * OUT + {o}u < u.last_quad) {
        y_store4_to(to{o}, n, y, at, block * OUT + {o}u, A4(v0_0_{o}_0, v0_0_{o}_1, v0_0_{o}_2, v0_0_{o}_3));
      }
#for l in 4
#for m in SHIFTS
      v0_{m}_{o}_{l} = v0_{m+1}_{o}_{l};
#end
#end
#end
      continuing { p++; break if p >= LANES; }
    }
#for m in MOVES
#for p in LANES
#for o in OUT
#for l in 4
    v{m}_{p}_{o}_{l} = v{m+1}_{p}_{o}_{l};
#end
#end
#end
#end
    continuing { g++; break if g >= GROUPS; }
  }
#end
#if !LOOPED
#for g in GROUPS
#for p in LANES
#for o in OUT
  if (x0 + {g}u * LANES + {p}u < u.y.w && block * OUT + {o}u < u.last_quad) {
    let v = A4(v{g}_{p}_{o}_0, v{g}_{p}_{o}_1, v{g}_{p}_{o}_2, v{g}_{p}_{o}_3);
    y_store4_to(to{o}, n, y, x0 + {g}u * LANES + {p}u, block * OUT + {o}u, v);
  }
#end
#end
#end
#end
}
