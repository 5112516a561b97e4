//! The folder in which programs of this user keep what they can make again.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// The folder for [`GpuOptions::pipeline_cache`](super::GpuOptions::pipeline_cache) that the program `downhill` uses:
/// `downhill` in `$XDG_CACHE_HOME` or `~/.cache`, on macOS in `~/Library/Caches`, on Windows in `%LOCALAPPDATA%`. `None` where
/// the environment names none of them. Nothing is made.
pub fn user_cache_folder() -> Option<PathBuf> {
    let system = if cfg!(windows) {
        System::Windows
    } else if cfg!(target_vendor = "apple") {
        System::Apple
    } else {
        System::Unix
    };
    folder(system, |name| env::var_os(name))
}

#[derive(Debug, Clone, Copy)]
enum System {
    Windows,
    Apple,
    Unix,
}

fn folder(system: System, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // A relative path would be another folder for each working directory.
    let path = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.has_root());
    let caches = match system {
        System::Windows => path("LOCALAPPDATA"),
        System::Apple => path("HOME").map(|home| home.join("Library/Caches")),
        System::Unix => path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache"))),
    };
    caches.map(|caches| caches.join("downhill"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_system_and_the_environment() {
        let of = |system, variables: &[(&str, &str)]| {
            let value =
                |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
            folder(system, value).map(|path| path.to_string_lossy().replace('\\', "/"))
        };
        let home = ("HOME", "/h");
        assert_eq!(of(System::Unix, &[home]).unwrap(), "/h/.cache/downhill");
        assert_eq!(of(System::Unix, &[home, ("XDG_CACHE_HOME", "/c")]).unwrap(), "/c/downhill");
        // The specification of XDG: a path that is not absolute is ignored.
        for none in ["", "c", "./c"] {
            assert_eq!(of(System::Unix, &[home, ("XDG_CACHE_HOME", none)]).unwrap(), "/h/.cache/downhill");
        }
        assert_eq!(of(System::Apple, &[home]).unwrap(), "/h/Library/Caches/downhill");
        assert_eq!(of(System::Windows, &[("LOCALAPPDATA", "/l")]).unwrap(), "/l/downhill");
        for system in [System::Unix, System::Apple, System::Windows] {
            assert_eq!(of(system, &[]), None);
        }
    }
}
