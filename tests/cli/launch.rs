//! Starts by a launcher of several processes. `tests/mpi.rs` has those of a program with MPI.

use std::process::{Command, Output};

fn launched(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_downhill"));
    command.args(["train", "no such config.toml"]).envs(variables.iter().copied());
    command.output().expect("downhill starts")
}

#[test]
#[cfg(not(feature = "mpi"))]
fn a_program_without_mpi_refuses_to_be_one_of_several() {
    for variables in [
        &[("OMPI_COMM_WORLD_SIZE", "2"), ("OMPI_COMM_WORLD_RANK", "0")][..],
        &[("PMI_SIZE", "2"), ("PMI_RANK", "0")],
        &[("SLURM_STEP_NUM_TASKS", "2"), ("PMIX_RANK", "0")],
    ] {
        let output = launched(variables);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            text.contains("started 2 processes") && text.contains("--features mpi"),
            "{variables:?}: {text}"
        );
        assert_eq!(output.status.code(), Some(2));
    }
    // Rank 0 alone reports it.
    let second = launched(&[("OMPI_COMM_WORLD_SIZE", "2"), ("OMPI_COMM_WORLD_RANK", "1")]);
    assert!(second.stderr.is_empty() && second.status.code() == Some(2));
}

#[test]
fn a_launch_of_one_is_none() {
    let output = launched(&[("OMPI_COMM_WORLD_SIZE", "1"), ("OMPI_COMM_WORLD_RANK", "0")]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("no such config.toml"), "{text}");
}
