// Shared by the passes: loading the last, incomplete vector, and adding up lanes.

/** The last 1 to 3 values of a run, the missing lanes filled. */
// @ts-ignore: decorator
@inline
export function partialVector(at: usize, rest: i32, fill: f32): v128 {
  let v = f32x4.splat(fill);
  v = f32x4.replace_lane(v, 0, load<f32>(at));
  if (rest > 1) v = f32x4.replace_lane(v, 1, load<f32>(at, 4));
  if (rest > 2) v = f32x4.replace_lane(v, 2, load<f32>(at, 8));
  return v;
}

/** Lanes 2 and 3 as float64. */
// @ts-ignore: decorator
@inline
export function promoteHigh(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3));
}

/** (lane0 + lane2) + (lane1 + lane3). */
// @ts-ignore: decorator
@inline
export function laneTotal(low: v128, high: v128): f64 {
  const pair = f64x2.add(low, high);
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1);
}

// @ts-ignore: decorator
@inline
export function countLanes(v: v128): f64 {
  return <f64>(i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3));
}
