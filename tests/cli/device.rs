//! How a command opens its device: buffers without checks, and the folder of compiled kernels.

use serde_json::Value;

use crate::folder::{Done, Folder};

fn doctor(folder: &Folder, more: &[&str]) -> Value {
    let done = folder.run(&[&["doctor", "--json", "--adapter", &crate::adapter::wanted()], more].concat());
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn machine(folder: &Folder, run: &str) -> Value {
    serde_json::from_slice(&folder.read(&format!("{run}/system.json"))).expect("JSON")
}

#[test]
fn buffers_without_checks_are_recorded_and_change_no_bit() {
    let folder = Folder::new();
    folder.trained("usual", &[]);
    let done = folder.train(&["--out", "unchecked", "--unchecked-buffers"]);
    if machine(&folder, "usual")["backend"] != "Vulkan" {
        assert_eq!(done.code, 1, "{}", done.stdout);
        assert!(done.stderr.contains("only a Vulkan driver"), "{}", done.stderr);
        return;
    }
    assert_eq!(done.code, 0, "{}", done.stderr);
    let robust = |run| machine(&folder, run)["robust_buffers"].clone();
    assert_eq!((robust("usual"), robust("unchecked")), (true.into(), false.into()));
    let weights = |run| folder.read(&format!("{run}/model.safetensors"));
    assert!(weights("usual") == weights("unchecked"), "other weights");

    let report = doctor(&folder, &["--unchecked-buffers"]);
    assert_eq!((&report["well"], &report["adapter"]["robust_buffers"]), (&true.into(), &false.into()));
    assert_eq!(doctor(&folder, &[])["adapter"]["robust_buffers"], true);
    let done = folder.run(&["doctor", "--unchecked-buffers", "--adapter", &crate::adapter::wanted()]);
    assert!(done.stdout.contains("the driver checks no access, as asked"), "{}", done.stdout);
}

/// What the doctor says of the folder of compiled kernels, with the variable set to `variable`.
fn kept(folder: &Folder, variable: &str, more: &[&str]) -> (Option<String>, String) {
    let adapter = crate::adapter::wanted();
    let mut command = folder.command(&[&["doctor", "--json", "--adapter", &adapter], more].concat());
    let done = Done::of(&command.env("DOWNHILL_PIPELINE_CACHE", variable).output().expect("the binary"));
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let adapter = &serde_json::from_str::<Value>(&done.stdout).expect("JSON")["adapter"];
    let because = adapter["pipeline_file_because"].as_str().expect("a reason");
    (adapter["pipeline_file"].as_str().map(str::to_owned), because.to_owned())
}

#[test]
fn compiled_kernels_are_kept_where_the_option_or_the_environment_says() {
    let folder = Folder::new();
    if doctor(&folder, &[])["adapter"]["backend"] != "Vulkan" {
        return;
    }
    for (variable, more, expected) in [
        ("named", &[][..], Some("named")),
        ("named", &["--pipeline-cache", "given"], Some("given")),
        ("off", &["--pipeline-cache", "given"], Some("given")),
        ("off", &[], None),
        ("named", &["--pipeline-cache", "off"], None),
    ] {
        let (file, because) = kept(&folder, variable, more);
        assert_eq!(because == "switched off", expected.is_none(), "{variable} {more:?}: {because}");
        // A driver that keeps nothing makes no file; another one makes it in this folder and no other.
        assert_eq!(file.is_some(), expected.is_some_and(|name| folder.path(name).exists()), "{file:?}");
        let folders = ["named", "given"].map(|name| folder.path(name));
        assert_eq!(folders.iter().filter(|path| path.exists()).count(), usize::from(file.is_some()));
        for path in folders {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}
