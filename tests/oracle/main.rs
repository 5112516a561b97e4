//! The oracle's own tests: against values known from elsewhere, against central differences, and
//! against identities that the update rules must obey. None of them needs a GPU or the crate.

mod check_draws;
mod check_ops;
mod check_optim;
mod check_training;
mod check_windows;
#[path = "mod.rs"]
mod oracle;

/// Fails on NaN.
#[track_caller]
fn assert_close(got: f64, want: f64, tolerance: f64) {
    let diff = (got - want).abs();
    assert!(diff <= tolerance, "{got} against {want}: off by {diff:e}, tolerance {tolerance:e}");
}
