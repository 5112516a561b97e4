//! Moments in 8 bits, block by block: 256 elements from the start of a tensor share a scale, their largest |value|.
//!
//! An update uses the moments as it has made them; they are quantised when they are put away. Codes lie denser near
//! 0: a first moment is scale·sign(c)(|c|/127)², c in −127..=127; a second one scale·(c/255)⁴, c in 0..=255, and at
//! least 1 where the moment is not 0, for a root of 0 is divided by.

pub const BLOCK: usize = 256;

fn scale(block: &[f64]) -> f64 {
    block.iter().fold(0.0, |most: f64, x| most.max(x.abs()))
}

pub fn signed_code(m: f64, scale: f64) -> i8 {
    if scale == 0.0 { 0 } else { (127.0 * m.signum() * (m.abs() / scale).sqrt()).round() as i8 }
}

pub fn unsigned_code(v: f64, scale: f64) -> u8 {
    if v == 0.0 { 0 } else { ((255.0 * (v / scale).powf(0.25)).round() as u8).max(1) }
}

pub fn signed_value(code: i8, scale: f64) -> f64 {
    let part = f64::from(code) / 127.0;
    scale * part * part.abs()
}

pub fn unsigned_value(code: u8, scale: f64) -> f64 {
    scale * (f64::from(code) / 255.0).powi(4)
}

/// First moments of one tensor as they come back.
pub fn store_signed(moments: &mut [f64]) {
    for block in moments.chunks_mut(BLOCK) {
        let scale = scale(block);
        block.iter_mut().for_each(|m| *m = signed_value(signed_code(*m, scale), scale));
    }
}

/// Second moments of one tensor as they come back.
pub fn store_unsigned(moments: &mut [f64]) {
    for block in moments.chunks_mut(BLOCK) {
        let scale = scale(block);
        block.iter_mut().for_each(|v| *v = unsigned_value(unsigned_code(*v, scale), scale));
    }
}
