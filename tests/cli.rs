//! The binary as a person meets it: what it prints, where it exits, what it leaves on disk.

mod adapter;
mod example_configs;
mod python;

#[path = "cli/assertions.rs"]
mod assertions;
#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/bench_atlas.rs"]
mod bench_atlas;
#[path = "cli/bench_torch.rs"]
mod bench_torch;
#[path = "cli/board.rs"]
mod board;
#[path = "cli/ci_page.rs"]
mod ci_page;
#[path = "cli/compare.rs"]
mod compare;
#[path = "cli/data.rs"]
mod data;
#[path = "cli/device.rs"]
mod device;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/eval.rs"]
mod eval;
#[path = "cli/examples.rs"]
mod examples;
#[path = "cli/export.rs"]
mod export;
#[path = "cli/folder.rs"]
mod folder;
#[path = "cli/init.rs"]
mod init;
#[path = "cli/lab.rs"]
mod lab;
#[path = "cli/launch.rs"]
mod launch;
#[path = "cli/lr_find.rs"]
mod lr_find;
#[path = "cli/moved.rs"]
mod moved;
#[path = "cli/packs.rs"]
mod packs;
#[path = "cli/predict.rs"]
mod predict;
#[path = "cli/profile.rs"]
mod profile;
#[path = "cli/report.rs"]
mod report;
#[path = "cli/reports.rs"]
mod reports;
#[path = "cli/resume.rs"]
mod resume;
#[path = "cli/rows.rs"]
mod rows;
#[path = "cli/run_table.rs"]
mod run_table;
#[path = "cli/runs.rs"]
mod runs;
#[path = "cli/sample.rs"]
mod sample;
#[cfg(target_os = "linux")]
#[path = "cli/streams.rs"]
mod streams;
#[path = "cli/sweep.rs"]
mod sweep;
#[path = "cli/tune.rs"]
mod tune;
#[path = "cli/view.rs"]
mod view;
#[path = "cli/words.rs"]
mod words;
