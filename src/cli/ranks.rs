//! The processes of a launch by `mpirun` or `srun`: what they are, and what each command makes of them.

use std::sync::OnceLock;

use downhill::Error;
use downhill::ranks::Ranks;

use super::exit::Stopped;

/// The ranks of this launch. A process is one of them from its start to its end.
static RANKS: OnceLock<Ranks> = OnceLock::new();

/// The variables by which launchers tell a process how many there are: of Open MPI, MPICH and Intel MPI, and Slurm.
const COUNTS: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];
/// Those by which they tell a process which one it is.
const NUMBERS: [&str; 4] = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"];
/// Slurm sets its count without MPI too; one of these is there where it starts processes for MPI.
const SLURM_MPI: [&str; 2] = ["PMIX_RANK", "PMI_RANK"];

/// The number of processes that a launcher started, by its own word. `None` without a launcher.
fn launched(variable: impl Fn(&str) -> Option<String>) -> Option<usize> {
    let by_slurm = SLURM_MPI.iter().any(|name| variable(name).is_some());
    let counts = COUNTS.iter().filter(|name| by_slurm || !name.starts_with("SLURM"));
    counts.filter_map(|name| variable(name)?.parse().ok()).next()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// True where this process prints: it is alone, or the first of its launch.
pub(super) fn prints() -> bool {
    static PRINTS: OnceLock<bool> = OnceLock::new();
    *PRINTS.get_or_init(|| {
        let is_alone = launched(variable).is_none_or(|count| count == 1);
        is_alone || NUMBERS.iter().find_map(|name| variable(name)).is_none_or(|number| number == "0")
    })
}

/// A note on the time that Open MPI leaves for a checkpoint after Ctrl-C, where nobody has set it.
pub(super) fn time_to_save() -> Option<&'static str> {
    let is_open_mpi = variable("OMPI_COMM_WORLD_SIZE").is_some();
    (is_open_mpi && variable("OMPI_MCA_odls_base_sigkill_timeout").is_none()).then_some(
        "after Ctrl-C mpirun leaves 1 s for a step and a checkpoint; mpirun --mca odls_base_sigkill_timeout 60 leaves a minute",
    )
}

/// The ranks that this process trains with.
pub(super) fn ranks() -> Ranks {
    RANKS.get().cloned().unwrap_or_default()
}

/// Runs a command together with the other processes of its launch, if there are any. All end with the error of the first
/// that fails. `is_shared`: the command is for several processes.
pub(super) fn run(is_shared: bool, command: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let launch = Launch::join(is_shared)?;
    let ranks = RANKS.get_or_init(|| launch.ranks()).clone();
    let result = command();
    if ranks.is_alone() {
        return result;
    }
    match result {
        Err(err) if !err.is::<Stopped>() => {
            let own = err.downcast_ref::<Error>().cloned();
            let own = own.unwrap_or_else(|| Error::Program(format!("{err:#}")));
            ranks.conclude(Err::<(), _>(own)).map_err(|_| err)
        }
        ended => ranks.conclude(Ok(())).map_err(Into::into).and(ended),
    }
}

/// The processes of this launch while a command runs.
#[derive(Debug, Default)]
struct Launch {
    #[cfg(feature = "mpi")]
    joined: Option<downhill::ranks::mpi::Joined>,
}

impl Launch {
    /// Joins the processes of this launch, where there are several, for a command.
    ///
    /// # Errors
    /// A program without MPI; a command that is for one process.
    fn join(is_shared: bool) -> Result<Launch, Error> {
        let Some(count) = launched(variable).filter(|count| *count > 1) else { return Ok(Launch::default()) };
        if !is_shared {
            return Err(Error::Config(format!(
                "a launcher started {count} processes, and this command is for one; train, resume, eval and sweep are for \
                 several"
            )));
        }
        #[cfg(feature = "mpi")]
        return Ok(Launch { joined: Some(downhill::ranks::mpi::join()?) });
        #[cfg(not(feature = "mpi"))]
        Err(Error::Config(format!(
            "a launcher started {count} processes, and this program was built without MPI, so that each would do the same; \
             build it with cargo build --release --features mpi, which needs the packages libopenmpi-dev and libclang-dev \
             of Debian or Ubuntu, or those of another MPI"
        )))
    }

    /// Its ranks; one process alone where there is no launch.
    fn ranks(&self) -> Ranks {
        #[cfg(feature = "mpi")]
        return self.joined.as_ref().map_or_else(Ranks::default, |joined| joined.ranks().clone());
        #[cfg(not(feature = "mpi"))]
        Ranks::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_tell_how_many_processes_there_are() {
        let of = |set: &[(&str, &str)]| {
            launched(|name| set.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("OMPI_COMM_WORLD_SIZE", "4")]), Some(4));
        assert_eq!(of(&[("PMI_RANK", "0"), ("PMI_SIZE", "2")]), Some(2));
        assert_eq!(of(&[("PMIX_RANK", "1"), ("SLURM_STEP_NUM_TASKS", "8")]), Some(8));
        // A batch script of Slurm that starts a program by itself.
        assert_eq!(of(&[("SLURM_STEP_NUM_TASKS", "8")]), None);
    }
}
