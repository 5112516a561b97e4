//! The binary as a person meets it: what it prints, where it exits, what it leaves on disk.

mod adapter;

#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/data.rs"]
mod data;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/examples.rs"]
mod examples;
#[path = "cli/folder.rs"]
mod folder;
#[path = "cli/lr_find.rs"]
mod lr_find;
#[path = "cli/packs.rs"]
mod packs;
#[path = "cli/reports.rs"]
mod reports;
#[path = "cli/runs.rs"]
mod runs;
#[path = "cli/sample.rs"]
mod sample;
