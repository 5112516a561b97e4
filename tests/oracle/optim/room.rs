//! How far a parameter that is kept in f32 may be from the oracle's.

use crate::oracle::ROUNDOFF;

/// How many roundoffs of the way gone a parameter may be off by.
pub struct Room {
    /// Of its own way, the sum of its movements.
    pub own: f64,
    /// Of the way of its tensor, the sum of the largest movement of each step.
    pub shared: f64,
}

impl Room {
    /// 64 for elementwise rules, a movement of which comes out of a dozen operations on f32 state, a square root and
    /// divisions of a few units in the last place among them. Lamb's, LARS's and Adafactor's are multiplied with quotients
    /// of sums over hundreds of squares, each off by a few roundoffs more. Newton-Schulz makes each element of a matrix of
    /// all the others, and multiplies small singular values, with the roundoff that the large ones leave there, by up to
    /// 3.4445 five times, 485 in all.
    pub fn of(optimizer: &str, shape: &[usize]) -> Self {
        match optimizer {
            "muon" if shape.len() == 2 => Self { own: 64.0, shared: 512.0 },
            "lamb" | "lars" | "adafactor" => Self { own: 128.0, shared: 0.0 },
            _ => Self { own: 64.0, shared: 0.0 },
        }
    }
}

/// The way of the elements of a tensor.
pub struct Way {
    now: Vec<f64>,
    largest: Vec<f64>,
    gone: Vec<f64>,
    longest: f64,
    steps: f64,
}

impl Way {
    pub fn new(start: Vec<f64>) -> Self {
        let largest = start.iter().map(|w| w.abs()).collect();
        Self { largest, gone: vec![0.0; start.len()], longest: 0.0, steps: 0.0, now: start }
    }

    /// A step, to `next`.
    pub fn go(&mut self, next: &[f64]) {
        assert_eq!(next.len(), self.now.len());
        let mut most = 0.0_f64;
        for (i, &next) in next.iter().enumerate() {
            let moved = (next - self.now[i]).abs();
            self.largest[i] = self.largest[i].max(next.abs());
            self.gone[i] += moved;
            most = most.max(moved);
        }
        self.longest += most;
        self.steps += 1.0;
        self.now.copy_from_slice(next);
    }

    /// What element `i` may be off by, where a step rounds what is stored `roundings` times.
    pub fn bound(&self, i: usize, roundings: f64, room: &Room) -> f64 {
        let gone = room.own * self.gone[i] + room.shared * self.longest;
        ROUNDOFF * (roundings * self.steps * self.largest[i] + gone)
    }
}
