//! `digits28`: the 8×8 digits enlarged to MNIST's 28×28, each a little different.
//!
//! An image is one of the real digits, drawn uniformly from its part, on a ground of 0 with ink up to 255. Its 8×8 cells
//! become 20×20 pixels (2.5 pixels a cell) around the centre of mass, as MNIST's are: the cells are sharpened, v + 3 (v −
//! mean of the 3×3 cells around, weighted 1 2 1 each way), which gives strokes MNIST's width, and between their middles a
//! cubic B-spline is read. Then, in this order, are drawn
//!
//! | what | from |
//! |---|---|
//! | the digit | every one of the part, equally likely |
//! | t, of the rotation by 2·atan t | ±tan of 7.5 degrees: within 15 degrees each way |
//! | scale along x, and along y | 0.85 to 1 each |
//! | shear, x per y | ±0.2 |
//! | shift along x, and along y | ±1 pixel each |
//! | the middle of the edge, which makes strokes thick or thin | 0.55 to 0.75 of full ink |
//! | noise, each pixel its own | the sum of two uniform numbers, with a deviation of 0.05 of full ink |
//!
//! and ink is 0 below the edge, 255 above it, and a ramp across it. Noise comes before the edge, so the ground stays 0, as
//! MNIST's. Everything is arithmetic in f32 without a function that machines differ in: the same bytes everywhere.

use super::draw::Draw;
use crate::data::{Part, Values, digits};
use crate::error::{Error, Result};

/// Pixels along a side of an image.
pub const SIDE: usize = 28;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;

/// Cells along a side of a digit.
const CELLS: usize = 8;
/// Empty cells around it in its grid, over which sharpening and spline spread.
const MARGIN: usize = 2;
/// Cells along a side once they are sharpened: one more at each end.
const SHARP: usize = CELLS + 2;
/// How much they are sharpened.
const SHARPNESS: f32 = 3.0;
/// Grid points along a cell; between them the reading is linear.
const FINE: usize = 4;
/// Grid points along a side.
const GRID: usize = (CELLS + 2 * MARGIN) * FINE;
/// Pixels of a cell, before the scale.
const PITCH: f32 = 2.5;
/// The distance from its middle to where the edge of a stroke ends, in shares of full ink.
const EDGE: f32 = 0.3;

/// The writers' digits that images are made of. No digit is in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Those to train on.
    Train,
    /// Those to evaluate on.
    Eval,
}

/// A digit on a fine grid.
struct Glyph {
    /// `[GRID, GRID]`; 1 is full ink, and sharpening goes a little past 0 and 1.
    ink: [f32; GRID * GRID],
    /// Centre of mass in grid points: x, y.
    centre: [f32; 2],
    /// The range of visible ink along x and along y.
    seen: [[f32; 2]; 2],
    label: u8,
}

/// Makes images from (seed, index).
///
/// ```
/// use downhill::data::synth::{Digits28, Half};
/// let digits = Digits28::new(Half::Train, 7)?;
/// let (image, label) = digits.image(41);
/// assert!(image.len() == 28 * 28 && label < 10);
/// # Ok::<(), downhill::error::Error>(())
/// ```
pub struct Digits28 {
    glyphs: Vec<Glyph>,
    seed: u64,
    purpose: &'static [u8; 16],
}

impl Digits28 {
    /// Enlarges the digits of a half; images are drawn by `seed`.
    ///
    /// # Errors
    /// None but for a faulty build of the crate.
    pub fn new(half: Half, seed: u64) -> Result<Digits28> {
        let data = digits()?;
        let (part, purpose) = match half {
            Half::Train => (Some(data.train()), b"synth:digits28:t"),
            Half::Eval => (data.eval(), b"synth:digits28:e"),
        };
        let glyphs = part.map_or(Ok(Vec::new()), glyphs)?;
        Ok(Digits28 { glyphs, seed, purpose })
    }

    /// Image `index`, `[28, 28]`, and its label.
    pub fn image(&self, index: u64) -> ([u8; PIXELS], u8) {
        let mut image = [0; PIXELS];
        let label = self.render(index, &mut image);
        (image, label)
    }

    /// Writes image `index` into `image` and returns its label.
    pub(super) fn render(&self, index: u64, image: &mut [u8; PIXELS]) -> u8 {
        let mut draw = Draw::new(self.seed, index, self.purpose);
        let glyph = &self.glyphs[draw.below(self.glyphs.len() as u32) as usize];
        let mut uniform = |low, high| draw.uniform(low, high) as f32;
        let t = uniform(-TAN, TAN);
        let [scale_x, scale_y] = [uniform(0.85, 1.0), uniform(0.85, 1.0)];
        let shear = uniform(-0.2, 0.2);
        let [shift_x, shift_y] = [uniform(-1.0, 1.0), uniform(-1.0, 1.0)];
        let low = uniform(0.55, 0.75) - EDGE;
        let mut noise = [[0; 2]; PIXELS];
        draw.fill(noise.as_flattened_mut());

        // From pixels to grid points: turned back, then x −= shear·y, then over the scales.
        let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
        let [over_x, over_y] = [scale_x, scale_y].map(|scale| FINE as f32 / (PITCH * scale));
        let [xx, xy] = [(cos + shear * sin) * over_x, (sin - shear * cos) * over_x];
        let [yx, yy] = [-sin * over_y, cos * over_y];
        let middle = (SIDE - 1) as f32 / 2.0;

        // The pixels that see ink, and one more at each side: the corners of what is seen, from grid points to pixels.
        let (mut from, mut to) = ([SIDE as f32; 2], [0.0f32; 2]);
        let area = xx * yy - xy * yx;
        for corner in [[0, 0], [0, 1], [1, 0], [1, 1]] {
            let [x, y] = [0, 1].map(|axis| glyph.seen[axis][corner[axis]] - glyph.centre[axis]);
            let at = [(yy * x - xy * y) / area + shift_x, (xx * y - yx * x) / area + shift_y];
            for axis in 0..2 {
                from[axis] = from[axis].min(at[axis] + middle - 1.0);
                to[axis] = to[axis].max(at[axis] + middle + 2.0);
            }
        }
        let [columns, rows] = [0, 1].map(|axis| from[axis] as usize..(to[axis] as usize).min(SIDE));

        image.fill(0);
        for row in rows {
            let y = row as f32 - middle - shift_y;
            let (from_x, from_y) = (glyph.centre[0] + xy * y, glyph.centre[1] + yy * y);
            for column in columns.clone() {
                let x = column as f32 - middle - shift_x;
                let ink = glyph.read(from_x + xx * x, from_y + yx * x);
                let at = row * SIDE + column;
                let noise = (f32::from(noise[at][0]) + f32::from(noise[at][1]) - 255.0) * NOISE;
                let ramp = (ink + noise - low) * (255.0 / (2.0 * EDGE));
                image[at] = (ramp + 0.5) as u8;
            }
        }
        glyph.label
    }
}

/// The tangent of 7.5 degrees.
const TAN: f64 = 0.131_652_497_587_395_85;
/// Scales the sum of the two noise bytes, less its mean, to a deviation of 0.05. Each byte's is
/// √((256² − 1)/12) = 73.9, their sum's 104.5.
const NOISE: f32 = 0.05 / 104.5;

/// Less ink than this shows in no pixel: the lowest edge begins at 0.25, and noise adds at most 0.122.
const VISIBLE: f32 = 0.12;

/// The digits of a part on their grids.
fn glyphs(part: &Part) -> Result<Vec<Glyph>> {
    let (Values::F32(cells), Values::I32(labels)) = (part.inputs().values(), part.targets().values()) else {
        return Err(Error::Data("the digits are not pixels with labels".into()));
    };
    let weights = weights();
    let glyph = |(cells, label): (&[f32], &i32)| Glyph::new(cells, *label as u8, &weights);
    Ok(cells.chunks_exact(CELLS * CELLS).zip(labels).map(glyph).collect())
}

/// The weight of each sharpened cell at each grid point along an axis, `[GRID][SHARP]`: the cubic B-spline.
fn weights() -> [[f32; SHARP]; GRID] {
    let spline = |x: f32| match x.abs() {
        x if x < 1.0 => (4.0 - 6.0 * x * x + 3.0 * x * x * x) / 6.0,
        x if x < 2.0 => (2.0 - x) * (2.0 - x) * (2.0 - x) / 6.0,
        _ => 0.0,
    };
    std::array::from_fn(|point| {
        // Sharpened cell 1 is cell 0.
        let at = (point as f32 + 0.5) / FINE as f32 - MARGIN as f32 - 0.5 + 1.0;
        std::array::from_fn(|cell| spline(at - cell as f32))
    })
}

/// v + SHARPNESS (v − mean around) of the cells and of those next to them.
fn sharpened(cells: &[f32]) -> [[f32; SHARP]; SHARP] {
    let mut framed = [[0.0; SHARP + 2]; SHARP + 2];
    for (framed, row) in framed[2..].iter_mut().zip(cells.chunks_exact(CELLS)) {
        framed[2..2 + CELLS].copy_from_slice(row);
    }
    let across = |row: usize, at: usize| {
        let row = &framed[row];
        row[at] + 2.0 * row[at + 1] + row[at + 2]
    };
    std::array::from_fn(|y| {
        std::array::from_fn(|x| {
            let around = (across(y, x) + 2.0 * across(y + 1, x) + across(y + 2, x)) / 16.0;
            let value = framed[y + 1][x + 1];
            value + SHARPNESS * (value - around)
        })
    })
}

impl Glyph {
    fn new(cells: &[f32], label: u8, weights: &[[f32; SHARP]; GRID]) -> Glyph {
        let dot = |weights: &[f32; SHARP], values: &[f32; SHARP]| -> f32 {
            weights.iter().zip(values).map(|(w, v)| w * v).sum()
        };
        // Along x, for each row of cells; then along y.
        let sharp = sharpened(cells);
        let wide: [[f32; SHARP]; GRID] =
            std::array::from_fn(|column| std::array::from_fn(|row| dot(&weights[column], &sharp[row])));
        let mut ink = [0.0; GRID * GRID];
        for (row, weights) in ink.chunks_exact_mut(GRID).zip(weights) {
            for (point, column) in row.iter_mut().zip(&wide) {
                *point = dot(weights, column);
            }
        }
        let (mut mass, mut sum) = (0.0, [0.0; 2]);
        for (at, ink) in cells.iter().enumerate() {
            mass += ink;
            sum[0] += ink * (at % CELLS) as f32;
            sum[1] += ink * (at / CELLS) as f32;
        }
        let centre = sum.map(|sum| (sum / mass + MARGIN as f32 + 0.5) * FINE as f32 - 0.5);
        let mut seen = [[GRID as f32, 0.0]; 2];
        for (at, _) in ink.iter().enumerate().filter(|(_, ink)| **ink > VISIBLE) {
            for (seen, at) in seen.iter_mut().zip([at % GRID, at / GRID]) {
                // Readings reach to the next point.
                *seen = [seen[0].min(at as f32 - 1.0), seen[1].max(at as f32 + 1.0)];
            }
        }
        Glyph { ink, centre, seen, label }
    }

    /// The ink at a place between the grid points; outside of them that of the border, which is none, or less.
    fn read(&self, x: f32, y: f32) -> f32 {
        const LAST: f32 = (GRID - 1) as f32 - 1e-3;
        let (x, y) = (x.clamp(0.0, LAST), y.clamp(0.0, LAST));
        let (column, row) = (x as i32, y as i32);
        let (right, down) = (x - column as f32, y - row as f32);
        let at = row as usize * GRID + column as usize;
        let lerp = |at: usize| self.ink[at] + (self.ink[at + 1] - self.ink[at]) * right;
        let (above, below) = (lerp(at), lerp(at + GRID));
        above + (below - above) * down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_made_of_different_digits() {
        let [train, eval] = [Half::Train, Half::Eval].map(|half| Digits28::new(half, 0).unwrap().glyphs);
        assert_eq!((train.len(), eval.len()), (1437, 360));
        assert!(eval.iter().all(|of| train.iter().all(|other| other.ink != of.ink)));
    }

    #[test]
    fn a_digit_keeps_its_mass_and_its_middle_on_the_grid() {
        let digits = digits().unwrap();
        let Values::F32(cells) = digits.train().inputs().values() else { panic!("pixels are f32") };
        for cells in cells.chunks_exact(CELLS * CELLS).take(50) {
            let glyph = Glyph::new(cells, 0, &weights());
            // Sharpening and spline have sums of 1, but for what falls off the grid: an eighth of a sharpened border cell,
            // which is at most 3/4 of the cells beside it below 0.
            let mass: f32 = glyph.ink.iter().sum::<f32>() / (FINE * FINE) as f32;
            let want: f32 = cells.iter().sum();
            assert!((mass - want).abs() < 0.05 * want, "{mass} {want}");
            assert!(glyph.read(-5.0, 20.0) <= 0.0 && glyph.read(20.0, 1e9) <= 0.0);
            let at = |x: usize, y: usize| glyph.ink[y * GRID + x];
            assert_eq!(glyph.read(20.0, 21.0), at(20, 21));
            let between = (at(20, 21) + at(21, 21) + at(20, 22) + at(21, 22)) / 4.0;
            assert!((glyph.read(20.5, 21.5) - between).abs() < 1e-5);
        }
    }
}
