//! `spirals`, `moons` and `blobs`: points of the plane in classes, and where each class lies.
//!
//! The class of point `index` is `index` mod the number of classes, so classes are as many, to one. `sin` and `cos` are
//! the machine's own, good to about 1e-16; a table's six decimals hide that, but for one number in many millions.

use std::f64::consts::{PI, TAU};

use super::draw::Draw;

/// Three arms of a turn each from the origin: at a share s of the way, uniform from 0.05 to 1, arm k is s from the
/// origin, at an angle of k/3 + s turns; plus noise N(0, 0.03²) along both axes. Coordinates and class.
pub fn spirals_point(seed: u64, index: u64) -> ([f64; 2], u8) {
    let class = index % 3;
    let mut draw = Draw::new(seed, index, b"synth:spirals...");
    let share = draw.uniform(0.05, 1.0);
    let angle = TAU * (class as f64 / 3.0 + share);
    (noisy(&mut draw, [share * angle.cos(), share * angle.sin()], 0.03), class as u8)
}

/// Two half circles of radius 1 that reach into each other: at an angle a, uniform from 0 to π, class 0 is at
/// (cos a, sin a), class 1 at (1 − cos a, ½ − sin a); plus noise N(0, 0.1²) along both axes. Coordinates and class.
/// Source: scikit-learn's `make_moons`.
pub fn moons_point(seed: u64, index: u64) -> ([f64; 2], u8) {
    let class = index % 2;
    let mut draw = Draw::new(seed, index, b"synth:moons.....");
    let angle = draw.uniform(0.0, PI);
    let (sin, cos) = angle.sin_cos();
    let at = if class == 0 { [cos, sin] } else { [1.0 - cos, 0.5 - sin] };
    (noisy(&mut draw, at, 0.1), class as u8)
}

/// Four clouds N(centre, 0.7²) along both axes, with centres at (±2, ±2): class 0 has both signs −, 1 has x +, 2 has
/// y +, 3 both. Coordinates and class.
pub fn blobs_point(seed: u64, index: u64) -> ([f64; 2], u8) {
    let class = index % 4;
    let mut draw = Draw::new(seed, index, b"synth:blobs.....");
    let centre = [1, 2].map(|bit| if class & bit == 0 { -2.0 } else { 2.0 });
    (noisy(&mut draw, centre, 0.7), class as u8)
}

fn noisy(draw: &mut Draw, at: [f64; 2], deviation: f64) -> [f64; 2] {
    at.map(|x| x + deviation * draw.normal())
}
