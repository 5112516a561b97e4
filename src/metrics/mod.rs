//! Metrics of an evaluation by name, the sums that the device computes for them, and the statistics of tensors.

mod accumulator;
mod accuracy;
mod metric;
mod plan;
mod sums;
mod targets;
mod tensor_statistics;
mod values;

pub(crate) use accumulator::MetricAccumulator;
pub(crate) use accuracy::{correct, is_classification};
pub use metric::{Averaging, Metric};
pub(crate) use plan::MetricPlan;
pub use tensor_statistics::{DeadUnits, Numbers, StatisticsRecord, TensorStatistics};
pub use values::Metrics;
pub(crate) use values::matches_name;
