//! Predicted times of kernels on a nominal card, without measuring.
//!
//! The kernel of a product is chosen by this prediction. So the card is a constant: were it the card at hand, or measured,
//! the order of a sum and with it the bits of a run would depend on the machine. It has the size of an H200, of which the
//! constants of time were fitted: steps of five nets took 3.2 us for each dispatch, of which 2.2 are launch and barrier, and
//! 0.145 us for each loop iteration that waits for a load. On another card the numbers differ, and mostly not their order.

/// Multiprocessors.
const MULTIPROCESSORS: usize = 132;
/// Multiply-adds of a multiprocessor in a cycle.
const LANES: usize = 128;
/// Cycles of a microsecond.
const CYCLES: f64 = 1700.0;
/// Bytes of memory in a microsecond: 4 TB/s.
const MEMORY_BYTES: f64 = 4e6;
/// Bytes from the cache that all multiprocessors share, in a microsecond: 5.5 TB/s.
const CACHE_BYTES: f64 = 5.5e6;
/// Microseconds of a dispatch that does nothing, with the barrier before the next.
pub const DISPATCH: f64 = 2.2;
/// Microseconds of a loop iteration that waits for a load.
pub const ROUND: f64 = 0.15;
/// Invocations that a multiprocessor holds.
const INVOCATIONS: usize = 2048;
/// Their registers.
const REGISTERS: usize = 65_536;

/// What a kernel asks of the card.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Workgroups.
    pub groups: usize,
    /// Invocations of a workgroup.
    pub invocations: usize,
    /// Registers of an invocation.
    pub registers: usize,
    /// Loop iterations of an invocation that wait for a load, one after the other.
    pub rounds: usize,
    /// Multiply-adds of a workgroup.
    pub multiply_adds: f64,
    /// Cycles in which a workgroup reads workgroup memory.
    pub shared_cycles: f64,
    /// Bytes of all operands.
    pub bytes: f64,
    /// Bytes that all workgroups load, those that another one loads too.
    pub loaded_bytes: f64,
}

impl Work {
    /// The work of two kernels whose workgroups follow each other in one grid.
    pub fn beside(self, other: Work) -> Work {
        let groups = self.groups + other.groups;
        let mean = |of: fn(&Work) -> f64| {
            (of(&self) * self.groups as f64 + of(&other) * other.groups as f64) / groups.max(1) as f64
        };
        Work {
            groups,
            invocations: self.invocations.max(other.invocations),
            registers: self.registers.max(other.registers),
            rounds: self.rounds.max(other.rounds),
            multiply_adds: mean(|work| work.multiply_adds),
            shared_cycles: mean(|work| work.shared_cycles),
            bytes: self.bytes + other.bytes,
            loaded_bytes: self.loaded_bytes + other.loaded_bytes,
        }
    }

    /// Microseconds on the nominal card: launch and barrier, and the longest of latency, arithmetic with workgroup memory,
    /// and bandwidth.
    pub fn microseconds(&self) -> f64 {
        let each = self.groups.div_ceil(MULTIPROCESSORS);
        let by_registers = REGISTERS / (self.invocations * self.registers).max(1);
        let resident = (INVOCATIONS / self.invocations.max(1)).min(by_registers).max(1);
        let latency = ROUND * (self.rounds * each.div_ceil(resident)) as f64;
        // One workgroup alone has not an invocation for each lane.
        let lanes = (each.min(resident) * self.invocations).min(LANES) as f64;
        let cycles = (self.multiply_adds / lanes).max(self.shared_cycles) * each as f64;
        let bandwidth = (self.bytes / MEMORY_BYTES).max(self.loaded_bytes / CACHE_BYTES);
        DISPATCH + latency.max(cycles / CYCLES).max(bandwidth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Work = Work {
        groups: 1,
        invocations: 64,
        registers: 32,
        rounds: 0,
        multiply_adds: 0.0,
        shared_cycles: 0.0,
        bytes: 0.0,
        loaded_bytes: 0.0,
    };

    fn is(work: Work, microseconds: f64) {
        let got = work.microseconds();
        assert!((got - DISPATCH - microseconds).abs() < 1e-9, "{work:?}: {got}");
    }

    #[test]
    fn each_part_counts_where_it_is_the_longest() {
        is(NOTHING, 0.0);
        is(Work { rounds: 10, ..NOTHING }, 1.5);
        // 32 workgroups of 64 fit on a multiprocessor; one more on each is a second turn.
        is(Work { rounds: 10, groups: 132 * 32, ..NOTHING }, 1.5);
        is(Work { rounds: 10, groups: 132 * 32 + 1, ..NOTHING }, 3.0);
        is(Work { rounds: 10, groups: 132 * 9, invocations: 256, registers: 32, ..NOTHING }, 3.0);
        is(Work { rounds: 10, groups: 132 * 9, invocations: 128, registers: 64, ..NOTHING }, 3.0);
        // 64 of 128 lanes are occupied by one workgroup alone.
        is(Work { multiply_adds: 64.0 * 1700.0, ..NOTHING }, 1.0);
        is(Work { multiply_adds: 64.0 * 1700.0, groups: 264, ..NOTHING }, 1.0);
        is(Work { multiply_adds: 64.0, shared_cycles: 3400.0, ..NOTHING }, 2.0);
        is(Work { bytes: 8e6, loaded_bytes: 5.5e6, ..NOTHING }, 2.0);
        is(Work { bytes: 4e6, loaded_bytes: 11e6, ..NOTHING }, 2.0);
    }
}
